// BMP: palettes of 1, 4 and 8 bits, also in run-length codes; 16 and 32 bits with masks; 24 bits. Headers of OS/2 (12 and
// 64 bytes) and of Windows. The pixels lie where the file's header says, whatever stands in front of them.
#include <fmt/core.h>
#include <kindred/data/images/decode_formats.h>
#include <kindred/data/images/packed_sample.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>

namespace kindred::detail {
namespace {

enum class BmpCoding { rows, runs_of_8_bits, runs_of_4_bits };

struct BmpHeader {
  std::uint64_t height = 0, width = 0, row_bytes = 0;
  bool from_top = false;
  std::size_t pixels_at = 0, header_bytes = 0, bits = 0;
  BmpCoding coding = BmpCoding::rows;
  std::array<std::uint32_t, 3> masks{};  // of red, green and blue, in 16 and 32 bits
};

std::uint32_t little_endian16(ByteSpan bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} | std::uint32_t{bytes[at + 1]} << 8;
}

std::uint32_t little_endian32(ByteSpan bytes, std::size_t at) {
  return little_endian16(bytes, at) | little_endian16(bytes, at + 2) << 16;
}

bool is_contiguous(std::uint32_t mask) {
  const std::uint32_t ones = mask == 0 ? 0 : mask >> std::countr_zero(mask);
  return (ones & (ones + 1)) == 0;
}

// The masks of a file that has none, or only zeros: 5 bits a channel, or 8.
void set_masks(ByteSpan bytes, bool given, BmpHeader& bmp) {
  constexpr std::size_t masks_at = 54;  // in or behind the header, at the same place
  bmp.masks = {};
  if (given)
    for (std::size_t c = 0; c < 3; ++c) bmp.masks[c] = little_endian32(bytes, masks_at + 4 * c);
  if (bmp.masks != std::array<std::uint32_t, 3>{}) return;
  bmp.masks = bmp.bits == 16 ? std::array<std::uint32_t, 3>{0x7C00, 0x3E0, 0x1F}
                             : std::array<std::uint32_t, 3>{0xFF0000, 0xFF00, 0xFF};
}

// What the fields say about the pixels' coding. Returns "", or why it cannot be read.
std::string read_coding(ByteSpan bytes, std::uint32_t compression, BmpHeader& bmp) {
  constexpr std::uint32_t none = 0, runs8 = 1, runs4 = 2, masks = 3, masks_and_alpha = 6;
  const bool is_os2 = bmp.header_bytes == 12 || bmp.header_bytes == 64;  // there 3 and 4 are other compressions
  const bool has_masks = !is_os2 && (compression == masks || compression == masks_and_alpha);
  if (compression == runs8 && bmp.bits == 8) {
    bmp.coding = BmpCoding::runs_of_8_bits;
  } else if (compression == runs4 && bmp.bits == 4) {
    bmp.coding = BmpCoding::runs_of_4_bits;
  } else if (compression != none && !(has_masks && bmp.bits >= 16)) {
    return fmt::format("a BMP of {} bits per pixel with compression {}, which is not supported", bmp.bits,
                       compression);
  }
  if (bmp.bits != 16 && bmp.bits != 32) return {};
  if (has_masks && bytes.size() < 66) return "truncated BMP: the file ends inside its header";
  set_masks(bytes, has_masks, bmp);
  if (!std::all_of(bmp.masks.begin(), bmp.masks.end(), is_contiguous))
    return "damaged BMP: the bits of a colour do not stand together";
  return {};
}

// Reads the fields. Returns "", or why the file is no picture; the size is not judged.
std::string read_bmp(ByteSpan bytes, BmpHeader& bmp) {
  if (bytes.size() < 26) return "truncated BMP: the file ends inside its header";
  bmp.pixels_at = little_endian32(bytes, 10);
  bmp.header_bytes = little_endian32(bytes, 14);
  std::uint32_t compression = 0;
  if (bmp.header_bytes == 12) {
    bmp.width = little_endian16(bytes, 18);
    bmp.height = little_endian16(bytes, 20);
    bmp.bits = little_endian16(bytes, 24);
  } else {
    constexpr std::size_t known[] = {40, 52, 56, 64, 108, 124};
    if (std::find(std::begin(known), std::end(known), bmp.header_bytes) == std::end(known))
      return "a BMP of an unknown kind";
    if (bytes.size() < 14 + bmp.header_bytes) return "truncated BMP: the file ends inside its header";
    const auto width = static_cast<std::int32_t>(little_endian32(bytes, 18));
    const auto height = static_cast<std::int32_t>(little_endian32(bytes, 22));  // negative: rows from the top
    if (width <= 0) return fmt::format("its header says a width of {} pixels", width);
    bmp.width = static_cast<std::uint64_t>(width);
    bmp.height = static_cast<std::uint64_t>(std::abs(std::int64_t{height}));
    bmp.from_top = height < 0;
    bmp.bits = little_endian16(bytes, 28);
    compression = little_endian32(bytes, 30);
  }
  constexpr std::size_t depths[] = {1, 4, 8, 16, 24, 32};
  if (std::find(std::begin(depths), std::end(depths), bmp.bits) == std::end(depths))
    return fmt::format("a BMP of {} bits per pixel, which is not supported", bmp.bits);
  bmp.row_bytes = (bmp.width * bmp.bits + 31) / 32 * 4;
  return read_coding(bytes, compression, bmp);
}

// Every row must be in the file. Run-length codes show their end only when they are read.
std::string bmp_problem(ByteSpan bytes, const BmpHeader& bmp) {
  const std::size_t left = bytes.size() - std::min(bmp.pixels_at, bytes.size());
  const bool rows_lack = bmp.coding == BmpCoding::rows && left < bmp.row_bytes * bmp.height;
  if (bmp.pixels_at < 14 + bmp.header_bytes || bmp.pixels_at > bytes.size() || rows_lack)
    return "truncated BMP: the file ends before all pixels are there";
  return {};
}

// The colours between the header and the pixels.
struct BmpPalette {
  std::array<std::uint8_t, 3 * 256> rgb{};
  std::uint32_t colours = 0;

  BmpPalette(ByteSpan bytes, const BmpHeader& bmp) {
    if (bmp.bits > 8) return;
    const std::size_t entry_bytes = bmp.header_bytes == 12 ? 3 : 4, begin = 14 + bmp.header_bytes;
    colours =
        static_cast<std::uint32_t>(std::min((bmp.pixels_at - begin) / entry_bytes, std::size_t{1} << bmp.bits));
    for (std::size_t i = 0; i < colours; ++i)
      for (std::size_t c = 0; c < 3; ++c) rgb[3 * i + c] = bytes[begin + i * entry_bytes + 2 - c];
  }

  // False if there is no such colour.
  bool look_up(std::uint32_t index, std::uint8_t* to) const {
    if (index >= colours) return false;
    std::copy_n(&rgb[std::size_t{3} * index], 3, to);
    return true;
  }
};

constexpr const char* colour_lacks = "damaged BMP: a pixel's colour is not in its palette";

// One channel of 16 or 32 bits, stretched to 0 to 255 and rounded down as Pillow does.
class BmpChannel {
 public:
  explicit BmpChannel(std::uint32_t mask)
      : mask_(mask), shift_(mask == 0 ? 0 : std::countr_zero(mask)), largest_(mask >> shift_) {
    for (std::uint32_t value = 0; value < levels_.size(); ++value) levels_[value] = stretched(value);
  }
  std::uint8_t level(std::uint32_t pixel) const {
    const std::uint32_t value = (pixel & mask_) >> shift_;
    return value < levels_.size() ? levels_[value] : stretched(value);
  }

 private:
  std::uint8_t stretched(std::uint32_t value) const {
    if (largest_ == 0) return 0;
    return static_cast<std::uint8_t>(std::uint64_t{std::min(value, largest_)} * 255 / largest_);
  }

  std::uint32_t mask_;
  int shift_;
  std::uint32_t largest_;
  std::array<std::uint8_t, 256> levels_{};
};

int row_of(const BmpHeader& bmp, std::uint64_t y) {
  return static_cast<int>(bmp.from_top ? y : bmp.height - 1 - y);
}

std::string decode_rows(ByteSpan bytes, const BmpHeader& bmp, Image& image) {
  const BmpPalette palette(bytes, bmp);
  const BmpChannel channels[] = {BmpChannel(bmp.masks[0]), BmpChannel(bmp.masks[1]), BmpChannel(bmp.masks[2])};
  for (std::uint64_t y = 0; y < bmp.height; ++y) {
    const std::size_t at = bmp.pixels_at + y * bmp.row_bytes;
    const std::uint8_t* row = bytes.data() + at;
    std::uint8_t* rgb = image.pixel(row_of(bmp, y), 0);
    for (std::size_t x = 0; x < bmp.width; ++x, rgb += 3) {
      if (bmp.bits <= 8) {
        if (!palette.look_up(packed_sample(row, x, bmp.bits), rgb)) return colour_lacks;
      } else if (bmp.bits == 24) {
        for (std::size_t c = 0; c < 3; ++c) rgb[c] = row[3 * x + 2 - c];
      } else {
        const std::uint32_t pixel =
            bmp.bits == 16 ? little_endian16(bytes, at + 2 * x) : little_endian32(bytes, at + 4 * x);
        for (std::size_t c = 0; c < 3; ++c) rgb[c] = channels[c].level(pixel);
      }
    }
  }
  return {};
}

// Run-length codes: pairs of a count and a value, or 0 and a command. Pixels that no code reaches have the first colour.
class BmpRuns {
 public:
  BmpRuns(ByteSpan bytes, const BmpHeader& bmp, Image& image)
      : bytes_(bytes), bmp_(bmp), palette_(bytes, bmp), image_(image) {}

  // Returns "", or why there is no picture.
  std::string decode() {
    for (std::size_t i = 0; i < image_.pixels.size(); i += 3)
      std::copy_n(palette_.rgb.begin(), 3, &image_.pixels[i]);
    const bool ended = read_codes();
    if (colour_lacks_) return colour_lacks;
    const bool all_reached = y_ >= bmp_.height || (y_ == bmp_.height - 1 && x_ >= bmp_.width);
    return ended || all_reached ? "" : "truncated BMP: the file ends before all pixels are there";
  }
  bool left_the_picture() const { return left_the_picture_; }

 private:
  // False if the file ends before the mark of the picture's end.
  bool read_codes() {
    constexpr std::uint8_t end_of_row = 0, end_of_picture = 1, move = 2;
    for (std::size_t at = bmp_.pixels_at; bytes_.size() >= at + 2;) {
      const std::uint8_t count = bytes_[at], value = bytes_[at + 1];
      at += 2;
      const std::size_t left = bytes_.size() - at;
      if (count > 0) {
        // Of 4 bits there are two values, which alternate.
        draw(count, [&](std::size_t i) { return packed_sample(&value, four_bits() ? i % 2 : 0, bmp_.bits); });
      } else if (value == end_of_row) {
        x_ = 0;
        ++y_;
      } else if (value == end_of_picture) {
        return true;
      } else if (value == move) {
        if (left < 2) return false;
        x_ += bytes_[at];
        y_ += bytes_[at + 1];
        at += 2;
      } else {  // as many pixels, each with a colour of its own
        const std::size_t packed = four_bits() ? (value + std::size_t{1}) / 2 : value;
        if (left < packed) return false;
        const std::uint8_t* from = bytes_.data() + at;
        draw(value, [&](std::size_t i) { return packed_sample(from, i, bmp_.bits); });
        at += packed + packed % 2;
      }
    }
    return false;
  }

  // What lies outside of the picture is left out, so a hostile file takes no longer than its pixels.
  template <typename IndexOf>
  void draw(std::size_t count, const IndexOf& index_of) {
    const std::uint64_t space = y_ < bmp_.height && x_ < bmp_.width ? bmp_.width - x_ : 0;
    const std::size_t drawn = std::min<std::size_t>(count, space);
    left_the_picture_ |= drawn < count;
    for (std::size_t i = 0; i < drawn; ++i) {
      std::uint8_t* to = image_.pixel(row_of(bmp_, y_), static_cast<int>(x_ + i));
      colour_lacks_ |= !palette_.look_up(index_of(i), to);
    }
    x_ += count;
  }
  bool four_bits() const { return bmp_.coding == BmpCoding::runs_of_4_bits; }

  ByteSpan bytes_;
  const BmpHeader& bmp_;
  BmpPalette palette_;
  Image& image_;
  std::uint64_t x_ = 0, y_ = 0;  // rows in the order of the file
  bool colour_lacks_ = false, left_the_picture_ = false;
};

}  // namespace

void open_bmp(ByteSpan bytes, const DecodeLimits& limits, ImageHeader& header) {
  BmpHeader bmp;
  header.reason = read_bmp(bytes, bmp);
  if (header.ok()) set_size(bmp.height, bmp.width, limits, header);
  if (header.ok()) header.reason = bmp_problem(bytes, bmp);
}

void decode_bmp(ByteSpan bytes, const ImageHeader& header, Decoded& out) {
  BmpHeader bmp;
  std::string problem = read_bmp(bytes, bmp);  // open_bmp has accepted it
  out.image.resize(header.height, header.width);
  out.outcome = Outcome::ok;
  out.reason.clear();
  if (bmp.coding == BmpCoding::rows) {
    problem = decode_rows(bytes, bmp, out.image);
  } else {
    BmpRuns runs(bytes, bmp, out.image);
    problem = runs.decode();
    if (runs.left_the_picture()) {
      out.outcome = Outcome::damaged;
      out.reason = "damaged BMP: a run of pixels goes beyond the picture";
    }
  }
  if (!problem.empty()) reject(out, std::move(problem));
}

}  // namespace kindred::detail
