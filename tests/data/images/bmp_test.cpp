// BMP files of every header, depth and coding against pixels that are computed here. Pillow's files are in tests/golden.
#include "../test_images.h"
#include "poisoned.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

using namespace kindred;
using namespace kindred::test;

namespace {

struct BmpPicture {
  std::uint32_t header = 40;  // bytes
  int height = 0, width = 0;  // a negative height: rows from the top
  std::uint32_t bits = 24, compression = 0;
  std::vector<std::uint32_t> masks{};  // behind the fields, at byte 54
  Bytes palette{};      // as in the file: blue, green, red, and a zero unless the header has 12 bytes
  std::size_t gap = 0;  // bytes between that and the pixels
  Bytes pixels{};       // as in the file
};

void put_number(Bytes& bytes, std::uint32_t value, int count) {
  for (int i = 0; i < count; ++i) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

Bytes bmp_file(const BmpPicture& picture) {
  Bytes fields;
  const bool old = picture.header == 12;
  put_number(fields, picture.header, 4);
  put_number(fields, static_cast<std::uint32_t>(picture.width), old ? 2 : 4);
  put_number(fields, static_cast<std::uint32_t>(picture.height), old ? 2 : 4);
  put_number(fields, 1, 2);
  put_number(fields, picture.bits, 2);
  if (!old) {
    put_number(fields, picture.compression, 4);
    for (int i = 0; i < 5; ++i) put_number(fields, 0, 4);
    for (const std::uint32_t mask : picture.masks) put_number(fields, mask, 4);
    fields.resize(std::max<std::size_t>(fields.size(), picture.header));
  }
  Bytes file{'B', 'M'};
  const std::size_t start = 14 + fields.size() + picture.palette.size() + picture.gap;
  put_number(file, static_cast<std::uint32_t>(start + picture.pixels.size()), 4);
  put_number(file, 0, 4);
  put_number(file, static_cast<std::uint32_t>(start), 4);
  for (const Bytes& part : {fields, picture.palette, Bytes(picture.gap, 0xAB), picture.pixels})
    file.insert(file.end(), part.begin(), part.end());
  return file;
}

// The pixels, which must be written completely.
Bytes pixels_of(const BmpPicture& picture, Outcome outcome = Outcome::ok) {
  const PoisonedDecoding decoding = decode_poisoned(bmp_file(picture));
  CHECK(decoding.picture.outcome == outcome);
  CHECK(decoding.is_all_written);
  return decoding.picture.image.pixels;
}

std::string why(const BmpPicture& picture) {
  const Decoded decoded = decode_image(bmp_file(picture));
  CHECK(decoded.outcome != Outcome::ok);
  return decoded.reason;
}

// Four colours: black, red, green and blue, and what they are in RGB.
Bytes four_colours(bool old) {
  Bytes entries;
  for (const Bytes& entry : {Bytes{0, 0, 0}, Bytes{0, 0, 255}, Bytes{0, 255, 0}, Bytes{255, 0, 0}}) {
    entries.insert(entries.end(), entry.begin(), entry.end());
    if (!old) entries.push_back(0);
  }
  return entries;
}

Bytes rgb_of(std::string_view letters) {
  Bytes rgb;
  for (const char letter : letters)
    for (const char channel : {'r', 'g', 'b'}) rgb.push_back(letter == channel ? 255 : 0);
  return rgb;
}

}  // namespace

TEST_CASE("BMP: palettes of every header and depth, with and without a gap before the pixels") {
  for (const std::uint32_t header : {12u, 40u, 52u, 56u, 64u, 108u, 124u})
    for (const std::size_t gap : {0u, 2u, 5000u}) {
      CAPTURE(header);
      CAPTURE(gap);
      BmpPicture picture{
          .header = header, .height = 2, .width = 3, .palette = four_colours(header == 12), .gap = gap};
      picture.bits = 8;
      picture.pixels = {1, 2, 3, 0, 3, 2, 1, 0};  // the lower row first
      CHECK(pixels_of(picture) == rgb_of("bgrrgb"));
      picture.bits = 4;
      picture.pixels = {0x12, 0x30, 0, 0, 0x32, 0x10, 0, 0};
      CHECK(pixels_of(picture) == rgb_of("bgrrgb"));
      picture.bits = 1;
      picture.pixels = {0x60, 0, 0, 0, 0x80, 0, 0, 0};
      CHECK(pixels_of(picture) == rgb_of("r...rr"));
    }
}

TEST_CASE("BMP: 24 bits, and rows from the top") {
  BmpPicture picture{.height = 2, .width = 1, .gap = 3000, .pixels = {1, 2, 3, 0, 4, 5, 6, 0}};
  CHECK(pixels_of(picture) == Bytes{6, 5, 4, 3, 2, 1});
  picture.height = -2;
  CHECK(pixels_of(picture) == Bytes{3, 2, 1, 6, 5, 4});
}

TEST_CASE("BMP: 16 and 32 bits are stretched and rounded down, as by Pillow") {
  BmpPicture picture{.height = 1, .width = 2, .bits = 16};
  picture.pixels = {0x83, 0x10, 0xFF, 0x7F};  // 0x1083: red 4, green 4, blue 3 of 31, and white
  CHECK(pixels_of(picture) == Bytes{32, 32, 24, 255, 255, 255});
  picture.compression = 3;
  picture.masks = {0xF800, 0x07E0, 0x001F};
  picture.pixels = {0x83, 0x20, 0, 0};  // 0x2083: red 4 of 31, green 4 of 63, blue 3
  CHECK(pixels_of(picture) == Bytes{32, 16, 24, 0, 0, 0});
  picture.bits = 32;
  picture.pixels = {1, 2, 3, 4, 5, 6, 7, 8};
  picture.masks = {0xFF0000, 0xFF00, 0xFF};
  CHECK(pixels_of(picture) == Bytes{3, 2, 1, 7, 6, 5});
  picture.masks = {0xFF, 0xFF00, 0xFF0000};
  CHECK(pixels_of(picture) == Bytes{1, 2, 3, 5, 6, 7});
  picture.masks = {0, 0, 0};  // none: as without masks
  CHECK(pixels_of(picture) == Bytes{3, 2, 1, 7, 6, 5});
  picture.masks = {0x3FF00000, 0xFFC00, 0x3FF};           // ten bits each
  picture.pixels = {0xFF, 0x03, 0x00, 0x20, 0, 0, 0, 0};  // 0x200003FF: red 512, green 0, blue 1023
  CHECK(pixels_of(picture) == Bytes{127, 0, 255, 0, 0, 0});
  picture.compression = 6;  // with a mask of alpha, which is dropped
  picture.masks = {0xFF0000, 0xFF00, 0xFF, 0xFF000000};
  picture.pixels = {1, 2, 3, 4, 5, 6, 7, 8};
  CHECK(pixels_of(picture) == Bytes{3, 2, 1, 7, 6, 5});
  picture.header = 108;
  picture.compression = 3;
  CHECK(pixels_of(picture) == Bytes{3, 2, 1, 7, 6, 5});
  picture.header = 40;
  picture.compression = 0;
  picture.masks = {};
  CHECK(pixels_of(picture) == Bytes{3, 2, 1, 7, 6, 5});
}

TEST_CASE("BMP: run-length codes of 8 bits") {
  BmpPicture picture{.height = 2, .width = 4, .bits = 8, .compression = 1, .palette = four_colours(false)};
  picture.pixels = {4, 1, 0, 0, 0, 3, 1, 2,
                    3, 0, 1, 2, 0, 0, 0, 1};  // a run; three pixels of their own, padded; a run
  CHECK(pixels_of(picture) == rgb_of("rgbgrrrr"));
  picture.gap = 2000;
  CHECK(pixels_of(picture) == rgb_of("rgbgrrrr"));
  picture.pixels = {2, 1, 0, 2, 1, 1, 1, 3, 0, 1};  // a move by (1, 1); what is left out has the first colour
  CHECK(pixels_of(picture) == rgb_of("...brr.."));
  picture.pixels = {1, 1, 0, 2, 2, 1, 1, 3, 0, 1};  // a move by (2, 1)
  CHECK(pixels_of(picture) == rgb_of("...br..."));
  picture.pixels = {0, 1};
  CHECK(pixels_of(picture) == rgb_of("........"));
  picture.pixels = {4, 1, 0, 0, 4, 2};  // complete, but without the mark of its end
  CHECK(pixels_of(picture) == rgb_of("ggggrrrr"));
}

TEST_CASE("BMP: run-length codes of 4 bits") {
  BmpPicture picture{.height = 2, .width = 5, .bits = 4, .compression = 2, .palette = four_colours(false)};
  // Red and green in turn; five pixels of their own in three bytes, and a byte of padding.
  picture.pixels = {5, 0x12, 0, 0, 0, 5, 0x32, 0x13, 0x20, 0, 0, 1};
  CHECK(pixels_of(picture) == rgb_of("bgrbgrgrgr"));
  picture.header = 64;
  CHECK(pixels_of(picture) == rgb_of("bgrbgrgrgr"));
}

TEST_CASE("BMP: run-length codes that are wrong") {
  BmpPicture picture{.height = 2, .width = 4, .bits = 8, .compression = 1, .palette = four_colours(false)};
  const std::string truncated = "truncated BMP: the file ends before all pixels are there";
  for (const Bytes& codes : {Bytes{}, Bytes{4}, Bytes{4, 1}, Bytes{4, 1, 0, 0, 3, 2},
                             Bytes{4, 1, 0, 0, 0, 4, 1, 2, 3}, Bytes{4, 1, 0, 2, 1}}) {
    picture.pixels = codes;
    CHECK(why(picture) == truncated);
  }
  picture.pixels = {4, 1, 0, 0, 4, 9, 0, 1};
  CHECK(why(picture) == "damaged BMP: a pixel's colour is not in its palette");
  const std::string beyond = "damaged BMP: a run of pixels goes beyond the picture";
  picture.pixels = {9, 1, 0, 0, 4, 2, 0, 1};  // in a row
  CHECK(why(picture) == beyond);
  CHECK(pixels_of(picture, Outcome::damaged) == rgb_of("ggggrrrr"));
  picture.pixels = {4, 1, 0, 0, 4, 2, 0, 0, 4, 3, 0, 1};  // a third row
  CHECK(pixels_of(picture, Outcome::damaged) == rgb_of("ggggrrrr"));
  picture.pixels = {0, 2, 255, 255, 4, 3, 0, 1};  // a move out of it
  CHECK(pixels_of(picture, Outcome::damaged) == rgb_of("........"));
}

TEST_CASE("BMP: what cannot be read is refused with the reason") {
  BmpPicture picture{.height = 1, .width = 1, .pixels = Bytes(4)};
  picture.compression = 4;  // a JPEG inside
  CHECK(why(picture) == "a BMP of 24 bits per pixel with compression 4, which is not supported");
  picture.bits = 1;
  picture.header = 64;
  picture.compression = 3;  // Huffman's codes, in OS/2
  CHECK(why(picture) == "a BMP of 1 bits per pixel with compression 3, which is not supported");
  picture.header = 40;
  picture.bits = 4;
  picture.compression = 1;
  CHECK(why(picture) == "a BMP of 4 bits per pixel with compression 1, which is not supported");
  picture.compression = 0;
  picture.bits = 5;
  CHECK(why(picture) == "a BMP of 5 bits per pixel, which is not supported");
  picture.bits = 24;
  picture.header = 41;
  CHECK(why(picture) == "a BMP of an unknown kind");
  picture.header = 40;
  picture.bits = 32;
  picture.compression = 3;
  picture.masks = {0xF0F0, 0xFF00, 0xFF};
  CHECK(why(picture) == "damaged BMP: the bits of a colour do not stand together");
  BmpPicture pale{.height = 1, .width = 4, .bits = 8, .palette = four_colours(false), .pixels = {0, 1, 4, 0}};
  CHECK(why(pale) == "damaged BMP: a pixel's colour is not in its palette");
  pale.pixels = {0, 1, 2};
  CHECK(why(pale) == "truncated BMP: the file ends before all pixels are there");
  Bytes file = bmp_file(pale);
  for (const std::size_t length : {26, 53}) {  // inside a header of 14 and 40 bytes
    const Decoded cut = decode_image(Bytes(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(length)));
    CHECK(cut.reason == "truncated BMP: the file ends inside its header");
  }
  Bytes narrow = file;
  narrow[18] = 0;  // the lowest byte of a width of 4
  CHECK(decode_image(narrow).reason == "its header says a width of 0 pixels");
  narrow[21] = 0x80;
  CHECK(decode_image(narrow).reason == "its header says a width of -2147483648 pixels");
  file[10] = 20;  // the pixels begin inside the header
  CHECK(decode_image(file).reason == "truncated BMP: the file ends before all pixels are there");
}
