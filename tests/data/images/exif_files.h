// EXIF orientations in files, written by hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace kindred::test {

using FileBytes = std::vector<std::uint8_t>;

inline void append(FileBytes& to, const FileBytes& bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

inline FileBytes text_bytes(std::string_view text) {
  return {text.begin(), text.end()};
}

// TIFF's header, and a directory of two entries: an image description "abc", and the orientation.
inline FileBytes tiff_block(int orientation, bool big_endian = false) {
  const auto value = static_cast<std::uint8_t>(orientation);
  if (big_endian)
    return {'M', 'M', 0, 42,   0,    0, 0, 8, 0, 2, 0x01, 0x0E, 0,     2, 0, 0, 0, 4, 'a',
            'b', 'c', 0, 0x01, 0x12, 0, 3, 0, 0, 0, 1,    0,    value, 0, 0, 0, 0, 0, 0};
  return {'I', 'I', 42, 0,    8,    0, 0, 0, 2, 0, 0x0E, 0x01,  2, 0, 4, 0, 0, 0, 'a',
          'b', 'c', 0,  0x12, 0x01, 3, 0, 1, 0, 0, 0,    value, 0, 0, 0, 0, 0, 0, 0};
}

inline FileBytes exif_block(int orientation, bool big_endian = false) {
  FileBytes block{'E', 'x', 'i', 'f', 0, 0};
  append(block, tiff_block(orientation, big_endian));
  return block;
}

// A segment behind the start of a JPEG, which has neither been there before nor changes its pixels.
inline FileBytes jpeg_with_orientation(FileBytes jpeg, int orientation, bool big_endian = false) {
  const FileBytes exif = exif_block(orientation, big_endian);
  FileBytes segment{0xFF, 0xE1, 0, static_cast<std::uint8_t>(exif.size() + 2)};
  append(segment, exif);
  jpeg.insert(jpeg.begin() + 2, segment.begin(), segment.end());
  return jpeg;
}

// ISO 3309, as PNG has it.
inline std::uint32_t crc32_of(const FileBytes& bytes) {
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) ? 0xEDB88320u ^ (crc >> 1) : crc >> 1;
  }
  return crc ^ 0xFFFFFFFFu;
}

// A chunk in front of the last one, which has 12 bytes.
inline FileBytes png_with_orientation(FileBytes png, int orientation, bool big_endian = true) {
  const FileBytes tiff = tiff_block(orientation, big_endian);
  FileBytes content = text_bytes("eXIf");
  append(content, tiff);
  FileBytes chunk{0, 0, 0, static_cast<std::uint8_t>(tiff.size())};
  append(chunk, content);
  for (int shift = 24; shift >= 0; shift -= 8)
    chunk.push_back(static_cast<std::uint8_t>(crc32_of(content) >> shift));
  png.insert(png.end() - 12, chunk.begin(), chunk.end());
  return png;
}

// The content of a chunk tEXt as ImageMagick writes it: a keyword, a zero, and the EXIF data in hexadecimal digits.
inline FileBytes exif_keyword() {
  FileBytes keyword = text_bytes("Raw profile type exif");
  keyword.push_back(0);
  return keyword;
}

inline FileBytes exif_profile(int orientation) {
  FileBytes text = text_bytes("\nexif\n      44 \n");
  const FileBytes exif = exif_block(orientation);
  for (std::size_t i = 0; i < exif.size(); ++i) {
    constexpr std::string_view digits = "0123456789abcdef";
    text.push_back(static_cast<std::uint8_t>(digits[exif[i] / 16]));
    text.push_back(static_cast<std::uint8_t>(digits[exif[i] % 16]));
    if (i % 36 == 35) text.push_back('\n');
  }
  text.push_back('\n');
  return text;
}

// The container of a WebP: a chunk of pixels of odd length, which this is not, and the orientation.
inline FileBytes webp_with_orientation(int orientation) {
  FileBytes webp = text_bytes("RIFF");
  append(webp, {74, 0, 0, 0});
  append(webp, text_bytes("WEBPVP8 "));
  append(webp, {3, 0, 0, 0, 7, 7, 7, 0});
  append(webp, text_bytes("EXIF"));
  const FileBytes exif = exif_block(orientation);
  append(webp, {static_cast<std::uint8_t>(exif.size()), 0, 0, 0});
  append(webp, exif);
  return webp;
}

}  // namespace kindred::test
