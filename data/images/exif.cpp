#include <kindred/data/images/exif.h>
#include <kindred/third_party/deflate/deflate.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace kindred {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::array<std::uint8_t, 6> exif_prefix{'E', 'x', 'i', 'f', 0, 0};

template <std::size_t N>
bool begins_with(Bytes bytes, const std::array<std::uint8_t, N>& text) {
  return bytes.size() >= N && std::equal(text.begin(), text.end(), bytes.begin());
}

// Numbers of up to 8 bytes. One that does not lie within the bytes is 0.
struct Numbers {
  Bytes bytes;
  bool big_endian;

  std::uint64_t at(std::uint64_t place, std::size_t count) const {
    if (place > bytes.size() || bytes.size() - place < count) return 0;
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < count; ++i)
      number = number << 8 | bytes[static_cast<std::size_t>(place) + (big_endian ? i : count - 1 - i)];
    return number;
  }
};

// The bytes of a value of this type of TIFF, if it is a whole number without sign; otherwise 0.
std::size_t bytes_of_type(std::uint64_t type) {
  return type == 1 ? 1 : type == 3 ? 2 : type == 4 ? 4 : 0;
}

// A header, and the offset of a directory: a number of entries of 12 bytes each, which are a tag, a type, the number of
// values, and the value if it has at most 4 bytes. No other directory is visited.
int orientation_in_tiff(Bytes tiff) {
  constexpr std::uint64_t orientation_tag = 0x0112, entry_bytes = 12;
  constexpr std::array<std::uint8_t, 4> little{'I', 'I', 42, 0}, big{'M', 'M', 0, 42};
  if (!begins_with(tiff, little) && !begins_with(tiff, big)) return upright;
  const Numbers numbers{tiff, begins_with(tiff, big)};
  const std::uint64_t directory = numbers.at(4, 4), entries = numbers.at(directory, 2);
  for (std::uint64_t i = 0; i < entries; ++i) {
    const std::uint64_t entry = directory + 2 + entry_bytes * i;
    if (tiff.size() < entry_bytes || entry > tiff.size() - entry_bytes) return upright;
    if (numbers.at(entry, 2) != orientation_tag) continue;
    const std::size_t bytes = bytes_of_type(numbers.at(entry + 2, 2));
    const std::uint64_t values = numbers.at(entry + 4, 4), value = numbers.at(entry + 8, bytes);
    return values == 1 && value >= 1 && value <= 8 ? static_cast<int>(value) : upright;
  }
  return upright;
}

// The directory, in front of which "Exif" and two zeros may stand.
int orientation_in_exif(Bytes exif) {
  return orientation_in_tiff(begins_with(exif, exif_prefix) ? exif.subspan(exif_prefix.size()) : exif);
}

// Segments in front of the pixels: 0xFF, a marker, and for most markers a length, which counts itself, and a content.
int orientation_in_jpeg(Bytes jpeg) {
  constexpr std::uint8_t start_of_scan = 0xDA, end_of_image = 0xD9, app1 = 0xE1;
  for (std::size_t at = 2; at + 4 <= jpeg.size();) {
    const std::uint8_t marker = jpeg[at + 1];
    if (jpeg[at] != 0xFF || marker == 0xFF) {  // bytes between segments
      ++at;
      continue;
    }
    if (marker == start_of_scan || marker == end_of_image) return upright;
    if (marker <= 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {  // markers without a length
      at += 2;
      continue;
    }
    const std::size_t length = std::size_t{jpeg[at + 2]} << 8 | jpeg[at + 3];
    if (length < 2 || length > jpeg.size() - at - 2) return upright;
    const Bytes content = jpeg.subspan(at + 4, length - 2);
    if (marker == app1 && begins_with(content, exif_prefix)) return orientation_in_exif(content);
    at += 2 + length;
  }
  return upright;
}

// The value of a hexadecimal digit; -1 for other characters.
int digit_value(std::uint8_t digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

// ImageMagick's text: an empty line, "exif", the number of bytes, and the bytes in hexadecimal digits, on several lines.
int orientation_in_profile(Bytes text) {
  constexpr int lines_in_front = 3;
  std::size_t at = 0;
  for (int lines = 0; lines < lines_in_front && at < text.size(); ++at) lines += text[at] == '\n';
  std::vector<std::uint8_t> exif;
  int upper = -1;  // the first digit of a byte
  for (; at < text.size(); ++at) {
    if (text[at] == '\n') continue;
    const int digit = digit_value(text[at]);
    if (digit < 0) break;
    if (upper >= 0) exif.push_back(static_cast<std::uint8_t>(16 * upper + digit));
    upper = upper >= 0 ? -1 : digit;
  }
  return orientation_in_exif(exif);
}

// The content of a chunk tEXt, or zTXt if it is compressed: its text if it has the keyword of EXIF data, otherwise
// nothing. As much of it as 128 KiB of EXIF data take, which is twice what a JPEG can hold.
std::optional<std::vector<std::uint8_t>> exif_profile(Bytes content, bool is_compressed) {
  using namespace std::string_view_literals;
  constexpr std::string_view keyword = "Raw profile type exif\0"sv;
  constexpr std::size_t most_text = std::size_t{1} << 18, headers = 3;  // a zero, and two bytes of zlib
  if (content.size() < keyword.size() || !std::equal(keyword.begin(), keyword.end(), content.begin()))
    return std::nullopt;
  const Bytes rest = content.subspan(keyword.size());
  std::vector<std::uint8_t> text;
  if (!is_compressed) {
    text.assign(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(std::min(rest.size(), most_text)));
    return text;
  }
  if (rest.size() < headers) return text;
  text.resize(most_text);
  text.resize(third_party::inflate_beginning(rest.subspan(headers), text));
  return text;
}

// Chunks: a length, a name, a content, a checksum. Those that are looked for may also stand behind the pixels. As in
// Pillow, the chunk eXIf goes before a text. Only the first text is decompressed, however many there are.
int orientation_in_png(Bytes png) {
  constexpr std::array<std::uint8_t, 4> exif{'e', 'X', 'I', 'f'}, end{'I', 'E', 'N', 'D'},
      text{'t', 'E', 'X', 't'}, packed_text{'z', 'T', 'X', 't'};
  const Numbers numbers{png, true};
  std::optional<std::vector<std::uint8_t>> profile;
  for (std::size_t at = 8; at + 12 <= png.size();) {
    const auto length = static_cast<std::size_t>(numbers.at(at, 4));
    if (length > png.size() - at - 12) break;
    const Bytes name = png.subspan(at + 4, 4), content = png.subspan(at + 8, length);
    if (begins_with(name, exif)) return orientation_in_exif(content);
    if (begins_with(name, end)) break;
    const bool is_packed = begins_with(name, packed_text);
    if (!profile && (is_packed || begins_with(name, text))) profile = exif_profile(content, is_packed);
    at += 12 + length;
  }
  return profile ? orientation_in_profile(*profile) : upright;
}

// Chunks of RIFF: a name, a length, a content, and a byte more if the length is odd.
int orientation_in_webp(Bytes webp) {
  constexpr std::array<std::uint8_t, 4> exif{'E', 'X', 'I', 'F'};
  const Numbers numbers{webp, false};
  for (std::size_t at = 12; at + 8 <= webp.size();) {
    const auto length = static_cast<std::size_t>(numbers.at(at + 4, 4));
    if (length > webp.size() - at - 8) return upright;
    if (begins_with(webp.subspan(at, 4), exif)) return orientation_in_exif(webp.subspan(at + 8, length));
    at += 8 + length + (length & 1);
  }
  return upright;
}

// An orientation in parts. From stored to upright, rows and columns are reversed first, then they change places.
struct Turn {
  bool reverses_rows, reverses_columns, swaps;

  explicit Turn(int orientation)
      : reverses_rows(orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7),
        reverses_columns(orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8),
        swaps(swaps_sides(orientation)) {}

  Region swapped(const Region& region) const {
    return swaps ? Region{region.left, region.top, region.width, region.height} : region;
  }
  Region reversed(Region region, int height, int width) const {
    if (reverses_rows) region.top = height - region.bottom();
    if (reverses_columns) region.left = width - region.right();
    return region;
  }
};

}  // namespace

int exif_orientation(std::span<const std::uint8_t> file, ImageFormat format) {
  switch (format) {
    case ImageFormat::jpeg:
      return orientation_in_jpeg(file);
    case ImageFormat::png:
      return orientation_in_png(file);
    case ImageFormat::webp:
      return orientation_in_webp(file);
    case ImageFormat::tiff:
      return orientation_in_tiff(file);
    default:
      return upright;
  }
}

void turn_upright(Image& image, int orientation, Image& spare) {
  if (orientation == upright) return;
  const Turn turn(orientation);
  const int height = image.height, width = image.width;
  spare.resize(turn.swaps ? width : height, turn.swaps ? height : width);
  // The stored pixel of the upright (0, 0), and the steps to those of the next column and of the next row, in pixels.
  const std::ptrdiff_t row = turn.reverses_rows ? -std::ptrdiff_t{width} : std::ptrdiff_t{width};
  const std::ptrdiff_t column = turn.reverses_columns ? -1 : 1;
  const std::ptrdiff_t first =
      (turn.reverses_rows ? std::ptrdiff_t{height - 1} * width : 0) + (turn.reverses_columns ? width - 1 : 0);
  const std::ptrdiff_t to_right = turn.swaps ? row : column, down = turn.swaps ? column : row;
  std::uint8_t* out = spare.pixels.data();
  for (int y = 0; y < spare.height; ++y)
    for (int x = 0; x < spare.width; ++x) {
      const std::uint8_t* in = image.pixels.data() + 3 * (first + y * down + x * to_right);
      *out++ = in[0];
      *out++ = in[1];
      *out++ = in[2];
    }
  std::swap(image, spare);
}

Region stored_region(const Region& in_upright, int orientation, int stored_height, int stored_width) {
  const Turn turn(orientation);
  return turn.reversed(turn.swapped(in_upright), stored_height, stored_width);
}

Region upright_region(const Region& in_stored, int orientation, int stored_height, int stored_width) {
  const Turn turn(orientation);
  return turn.swapped(turn.reversed(in_stored, stored_height, stored_width));
}

}  // namespace kindred
