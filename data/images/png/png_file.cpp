#include <fmt/core.h>
#include <kindred/data/images/png/png_file.h>
#include <kindred/third_party/deflate/deflate.h>

namespace kindred::detail {
namespace {

constexpr std::uint32_t IHDR = 0x49484452, PLTE = 0x504C5445, IDAT = 0x49444154, IEND = 0x49454E44;
constexpr std::uint32_t skipped_type = 0x20000000;  // a lower-case first letter: the chunk may be skipped
constexpr std::size_t most_palette_bytes = 256 * 3;

std::uint32_t big_endian32(ByteSpan bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 |
         std::uint32_t{bytes[at + 2]} << 8 | std::uint32_t{bytes[at + 3]};
}

bool colours_exist(std::uint8_t colour, std::uint8_t bits) {
  const bool whole_bytes = bits == 8 || bits == 16, parts = bits == 1 || bits == 2 || bits == 4;
  switch (static_cast<PngColour>(colour)) {
    case PngColour::gray:
      return parts || whole_bytes;
    case PngColour::palette:
      return parts || bits == 8;
    case PngColour::rgb:
    case PngColour::gray_alpha:
    case PngColour::rgb_alpha:
      return whole_bytes;
  }
  return false;
}

// `fields` are the 13 bytes of the chunk IHDR.
std::string read_fields(ByteSpan fields, PngFile& file) {
  const std::uint8_t bits = fields[8], colour = fields[9];
  if (!colours_exist(colour, bits))
    return fmt::format("damaged PNG: its header asks for colours of type {} with {} bits", colour, bits);
  if (fields[10] != 0 || fields[11] != 0 || fields[12] > 1)
    return "damaged PNG: its header asks for an unknown compression, filter or interlacing";
  file.width = big_endian32(fields, 0);
  file.height = big_endian32(fields, 4);
  file.bits = bits;
  file.colour = static_cast<PngColour>(colour);
  file.interlaced = fields[12] == 1;
  return {};
}

// The content of a chunk whose first letter is upper case: it must be understood.
std::string read_critical(std::uint32_t type, ByteSpan content, PngFile& file) {
  switch (type) {
    case IHDR:
      if (file.width != 0) return "damaged PNG: it has two header chunks";
      return read_fields(content, file);
    case PLTE:
      if (content.size() > most_palette_bytes || content.size() % 3 != 0)
        return fmt::format("damaged PNG: its palette has {} bytes", content.size());
      if (file.data.empty()) file.palette = content;  // one behind the pixels comes too late
      return {};
    case IDAT:
      if (file.colour == PngColour::palette && file.palette.empty())
        return "damaged PNG: it has no palette before its pixels";
      file.data.push_back(content);
      file.data_bytes += content.size();
      return {};
    case IEND:
      return file.data.empty() ? "damaged PNG: it has no pixels" : "";
    default:
      return "damaged PNG: it has a chunk of an unknown kind that must not be skipped";
  }
}

PngPass make_pass(const PngFile& file, std::size_t x0, std::size_t y0, std::size_t dx, std::size_t dy) {
  PngPass pass{.x0 = x0, .y0 = y0, .dx = dx, .dy = dy};
  pass.width = file.width > x0 ? (file.width - x0 + dx - 1) / dx : 0;
  pass.height = file.height > y0 ? (file.height - y0 + dy - 1) / dy : 0;
  pass.row_bytes = (pass.width * file.channels() * file.bits + 7) / 8;
  return pass;
}

}  // namespace

std::size_t PngFile::channels() const {
  switch (colour) {
    case PngColour::gray:
    case PngColour::palette:
      return 1;
    case PngColour::gray_alpha:
      return 2;
    case PngColour::rgb:
      return 3;
    case PngColour::rgb_alpha:
      break;
  }
  return 4;
}

std::vector<PngPass> PngFile::passes() const {
  if (!interlaced) return {make_pass(*this, 0, 0, 1, 1)};
  return {make_pass(*this, 0, 0, 8, 8), make_pass(*this, 4, 0, 8, 8), make_pass(*this, 0, 4, 4, 8),
          make_pass(*this, 2, 0, 4, 4), make_pass(*this, 0, 2, 2, 4), make_pass(*this, 1, 0, 2, 2),
          make_pass(*this, 0, 1, 1, 2)};
}

std::uint64_t PngFile::filtered_bytes() const {
  std::uint64_t sum = 0;
  for (const PngPass& pass : passes()) sum += pass.bytes();
  return sum;
}

std::string read_png(ByteSpan bytes, const DecodeLimits& limits, PngFile& file, ImageHeader& header) {
  file = {};
  std::uint32_t type = 0;
  for (std::size_t at = 8; type != IEND;) {
    if (bytes.size() - at < 12) {
      if (file.data.empty()) return "truncated PNG: the file ends before its pixels";
      file.lacks_end = true;
      break;
    }
    const bool first = at == 8;
    const std::uint32_t length = big_endian32(bytes, at);
    type = big_endian32(bytes, at + 4);
    if (first && (type != IHDR || length != 13)) return "damaged PNG: it does not begin with a header chunk";
    if (length > bytes.size() - at - 12) {
      const bool may_be_skipped = (type & skipped_type) != 0 && !file.data.empty();
      if (!may_be_skipped) return "truncated PNG: a chunk is longer than the rest of the file";
      file.lacks_end = true;
      break;
    }
    if (first) {
      set_size(big_endian32(bytes, at + 12), big_endian32(bytes, at + 8), limits, header);
      if (!header.ok()) return header.reason;
    }
    if ((type & skipped_type) == 0) {
      const ByteSpan checked = bytes.subspan(at + 4, 4 + std::size_t{length});
      if (third_party::crc32_of(checked) != big_endian32(bytes, at + 8 + length))
        return "damaged PNG: a checksum does not match";
      std::string problem = read_critical(type, checked.subspan(4), file);
      if (!problem.empty()) return problem;
    }
    at += 12 + std::size_t{length};
  }
  // Deflate's shortest code for its longest match takes 2 bits and gives 258 bytes. So no memory is allocated for a
  // file that only claims to be large.
  constexpr std::uint64_t most_bytes_of_one = 1032;
  if (file.filtered_bytes() > most_bytes_of_one * file.data_bytes)
    return fmt::format("truncated PNG: {} bytes cannot hold {} x {} pixels", file.data_bytes, file.width,
                       file.height);
  // Up to 8 bytes a pixel, beside the picture itself, in every thread that loads one.
  if (file.filtered_bytes() > limits.max_decoder_bytes)
    return fmt::format("decoding needs more than {} MiB of memory", limits.max_decoder_bytes >> 20);
  return {};
}

}  // namespace kindred::detail
