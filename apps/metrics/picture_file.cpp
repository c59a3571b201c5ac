#include <kindred/apps/metrics/picture_file.h>

#include <algorithm>
#include <fstream>
#include <system_error>

namespace kindred {
namespace {

constexpr std::string_view jpeg_begins = "\xff\xd8";
constexpr unsigned comment_marker = 0xfe, scan_marker = 0xda;
constexpr std::size_t most_text = 60'000;  // a segment of a JPEG has at most 65,535 bytes

unsigned byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}
unsigned big_endian_at(std::string_view bytes, std::size_t at) {
  return byte_at(bytes, at) << 8 | byte_at(bytes, at + 1);
}

// The headers that give the size. Of the markers in their range four are something else.
bool gives_size(unsigned marker) {
  return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

// Fills in size and text. The bytes may be anything; if they are no JPEG in colour, there is no size.
void read_headers(PictureFile& picture) {
  const std::string_view bytes = picture.jpeg;
  if (!bytes.starts_with(jpeg_begins)) return;
  // A segment: 0xff, its marker, and its length with the two bytes of the length.
  for (std::size_t at = 2; at + 4 <= bytes.size() && byte_at(bytes, at) == 0xff;) {
    const unsigned marker = byte_at(bytes, at + 1), length = big_endian_at(bytes, at + 2);
    if (marker == scan_marker || length < 2 || at + 2 + length > bytes.size()) return;
    if (marker == comment_marker) picture.text = bytes.substr(at + 4, length - 2);
    if (gives_size(marker) && length >= 8 && byte_at(bytes, at + 9) == 3) {
      picture.height = static_cast<int>(big_endian_at(bytes, at + 5));
      picture.width = static_cast<int>(big_endian_at(bytes, at + 7));
    }
    at += 2 + length;
  }
}

}  // namespace

std::string with_text(std::string_view jpeg, std::string_view text) {
  text = text.substr(0, most_text);
  const std::size_t length = text.size() + 2;
  // Behind the first segment, by which programs know a JPEG.
  const std::size_t place = 4 + big_endian_at(jpeg, 4);
  std::string file(jpeg.substr(0, place));
  file += {'\xff', static_cast<char>(comment_marker), static_cast<char>(length >> 8),
           static_cast<char>(length & 0xff)};
  file += text;
  return file += jpeg.substr(place);
}

std::optional<PictureFile> read_picture(const std::filesystem::path& file) {
  std::error_code ignored;
  // To open a pipe would wait.
  if (std::filesystem::symlink_status(file, ignored).type() != std::filesystem::file_type::regular)
    return std::nullopt;
  std::ifstream in(file, std::ios::binary);
  PictureFile picture;
  picture.jpeg.resize(most_picture_bytes + 1);
  in.read(picture.jpeg.data(), static_cast<std::streamsize>(picture.jpeg.size()));
  picture.jpeg.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  if (picture.jpeg.size() > most_picture_bytes) return std::nullopt;
  read_headers(picture);
  if (picture.height == 0 || picture.width == 0) return std::nullopt;
  return picture;
}

std::optional<PictureFile> read_views_sheet(const std::filesystem::path& file) {
  std::optional<PictureFile> picture = read_picture(file);
  if (picture && !picture->text.starts_with(views_sheet_begins)) picture.reset();
  return picture;
}

}  // namespace kindred
