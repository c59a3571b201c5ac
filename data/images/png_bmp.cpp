// PNG and BMP by stb_image.
//
// stb_image checks too little for untrusted files: it ignores PNG checksums, reads zeros beyond the end of a
// BMP file, and reads palette entries that were never set. So the structure of the file is checked here first.
// Only a file with a valid header, length and checksums is passed to stb_image.

#include <fmt/core.h>
#include <kindred/data/images/decode_formats.h>
#include <kindred/third_party/stb/stb_image.h>

#include <algorithm>
#include <array>

namespace kindred::detail {
namespace {

using Bytes = ByteSpan;

std::uint32_t big_endian32(Bytes bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 |
         std::uint32_t{bytes[at + 2]} << 8 | std::uint32_t{bytes[at + 3]};
}

std::uint32_t little_endian16(Bytes bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} | std::uint32_t{bytes[at + 1]} << 8;
}

std::uint32_t little_endian32(Bytes bytes, std::size_t at) {
  return little_endian16(bytes, at) | little_endian16(bytes, at + 2) << 16;
}

// The CRC-32 of PNG (ISO 3309, reflected polynomial 0xEDB88320).
std::uint32_t crc32(Bytes bytes) {
  static const std::array<std::uint32_t, 256> table = [] {
    std::array<std::uint32_t, 256> entries{};
    for (std::uint32_t n = 0; n < 256; ++n) {
      std::uint32_t c = n;
      for (int bit = 0; bit < 8; ++bit) c = (c & 1) ? 0xEDB88320u ^ (c >> 1) : c >> 1;
      entries[n] = c;
    }
    return entries;
  }();
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const std::uint8_t byte : bytes) crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8);
  return crc ^ 0xFFFFFFFFu;
}

// Walks the chunks from the header to IEND. Returns "" if they are valid, and sets the size given in the
// header.
std::string png_problem(Bytes bytes, const DecodeLimits& limits, ImageHeader& header) {
  constexpr std::uint32_t IHDR = 0x49484452, IEND = 0x49454E44;
  bool first = true;
  for (std::size_t at = 8;;) {
    if (bytes.size() - at < 12) return "truncated PNG: the file ends before its IEND chunk";
    const std::uint32_t length = big_endian32(bytes, at), type = big_endian32(bytes, at + 4);
    if (first && (type != IHDR || length != 13)) return "damaged PNG: it does not begin with a header chunk";
    if (length > bytes.size() - at - 12) return "truncated PNG: a chunk is longer than the rest of the file";
    if (first) {
      set_size(big_endian32(bytes, at + 12), big_endian32(bytes, at + 8), limits, header);
      if (!header.ok()) return header.reason;
    }
    first = false;
    const bool critical = (type & 0x20000000u) == 0;  // an upper-case first letter; other chunks may be skipped
    if (critical && crc32(bytes.subspan(at + 4, 4 + length)) != big_endian32(bytes, at + 8 + length)) {
      return "damaged PNG: a checksum does not match";
    }
    if (type == IEND) return {};
    at += 12 + std::size_t{length};
  }
}

struct BmpHeader {
  std::uint64_t height = 0, width = 0;
  std::uint32_t pixels_at = 0, header_bytes = 0, bits = 0;
  std::uint64_t row_bytes = 0;
};

// Returns "" if the file contains every row that its header announces, and if no pixel refers to a missing
// colour.
std::string bmp_problem(Bytes bytes, const DecodeLimits& limits, BmpHeader& header, ImageHeader& size) {
  if (bytes.size() < 26) return "truncated BMP: the file ends inside its header";
  header.pixels_at = little_endian32(bytes, 10);
  header.header_bytes = little_endian32(bytes, 14);
  if (header.header_bytes == 12) {
    header.width = little_endian16(bytes, 18);
    header.height = little_endian16(bytes, 20);
    header.bits = little_endian16(bytes, 24);
  } else {
    if (header.header_bytes < 40 || header.header_bytes > 124) return "a BMP of an unknown kind";
    if (bytes.size() < 14 + header.header_bytes) return "truncated BMP: the file ends inside its header";
    const auto width = static_cast<std::int32_t>(little_endian32(bytes, 18));
    const auto height = static_cast<std::int32_t>(little_endian32(bytes, 22));  // negative: rows from the top
    if (width <= 0) return fmt::format("its header says a width of {} pixels", width);
    header.width = static_cast<std::uint64_t>(width);
    header.height = static_cast<std::uint64_t>(height < 0 ? -std::int64_t{height} : std::int64_t{height});
    header.bits = little_endian16(bytes, 28);
    if (const std::uint32_t compression = little_endian32(bytes, 30); compression != 0 && compression != 3) {
      return "a compressed BMP, which is not supported";
    }
  }
  set_size(header.height, header.width, limits, size);
  if (!size.ok()) return size.reason;
  const std::uint32_t bits = header.bits;
  if (bits != 1 && bits != 4 && bits != 8 && bits != 16 && bits != 24 && bits != 32) {
    return fmt::format("a BMP of {} bits per pixel, which is not supported", bits);
  }
  header.row_bytes = (header.width * bits + 31) / 32 * 4;
  if (header.pixels_at < 14 + header.header_bytes || header.pixels_at > bytes.size() ||
      bytes.size() - header.pixels_at < header.row_bytes * header.height) {
    return "truncated BMP: the file ends before all pixels are there";
  }
  return {};
}

bool palette_is_complete(Bytes bytes, const BmpHeader& header) {
  if (header.bits > 8) return true;
  const std::uint32_t entry_bytes = header.header_bytes == 12 ? 3 : 4;
  const std::uint32_t colours = (header.pixels_at - 14 - header.header_bytes) / entry_bytes;
  if (colours >= 1u << header.bits) return true;
  for (std::uint64_t y = 0; y < header.height; ++y) {
    const std::uint8_t* row = bytes.data() + header.pixels_at + y * header.row_bytes;
    for (std::uint64_t x = 0; x < header.width; ++x) {
      const std::uint64_t bit = x * header.bits;
      const std::uint32_t index = (row[bit / 8] >> (8 - header.bits - bit % 8)) & ((1u << header.bits) - 1);
      if (index >= colours) return false;
    }
  }
  return true;
}

void decode_by_stb(Bytes bytes, const ImageHeader& header, Decoded& out) {
  // What the largest valid picture of this size needs: four 16-bit channels and a filter byte per row. It is
  // doubled because stb_image grows its buffers by doubling.
  const std::size_t limit = std::max<std::size_t>(
      2 * (std::size_t(header.width) * 8 + 16) * (std::size_t(header.height) + 16), 2 * bytes.size() + 65536);
  third_party::StbImage picture = third_party::stb_decode(bytes.data(), bytes.size(), limit);
  if (!picture.pixels)
    return reject(out, fmt::format("damaged {}: {}", format_name(header.format), picture.reason));
  // stb_image parses the header by itself, and its result decides how much it wrote.
  if (picture.height != header.height || picture.width != header.width)
    return reject(out, fmt::format("damaged {}: its header is ambiguous", format_name(header.format)));
  out.outcome = Outcome::ok;
  out.reason.clear();
  out.image.resize(picture.height, picture.width);
  std::copy_n(picture.pixels.get(), out.image.pixels.size(), out.image.pixels.begin());
}

}  // namespace

void open_png(Bytes bytes, const DecodeLimits& limits, ImageHeader& header) {
  header.reason = png_problem(bytes, limits, header);
}

void decode_png(Bytes bytes, const ImageHeader& header, Decoded& out) {
  decode_by_stb(bytes, header, out);
}

void open_bmp(Bytes bytes, const DecodeLimits& limits, ImageHeader& header) {
  BmpHeader bmp;
  header.reason = bmp_problem(bytes, limits, bmp, header);
  if (header.ok() && !palette_is_complete(bytes, bmp))
    header.reason = "damaged BMP: a pixel's colour is not in its palette";
}

void decode_bmp(Bytes bytes, const ImageHeader& header, Decoded& out) {
  decode_by_stb(bytes, header, out);
}

}  // namespace kindred::detail
