// EXIF orientations: how they are found in files, and what they do to pixels.
#include "../png/png_writer.h"
#include "../test_images.h"
#include "exif_files.h"

#include <doctest/doctest.h>
#include <kindred/data/images/decode.h>
#include <kindred/data/images/exif.h>

#include <algorithm>
#include <array>
#include <cstring>

using namespace kindred;
using namespace kindred::test;

namespace {

DecodeLimits applying() {
  DecodeLimits limits;
  limits.exif = ExifMode::apply;
  return limits;
}

// A picture whose pixels are numbered: the red of pixel i is values[i].
Image numbered(int height, int width, const std::vector<int>& values) {
  Image image(height, width);
  for (std::size_t i = 0; i < values.size(); ++i) {
    image.pixels[3 * i] = static_cast<std::uint8_t>(values[i]);
    image.pixels[3 * i + 1] = static_cast<std::uint8_t>(100 + values[i]);
    image.pixels[3 * i + 2] = 200;
  }
  return image;
}

struct Upright {
  int height, width;
  std::vector<int> numbers;
};

// What Pillow's ImageOps.exif_transpose makes of rows 1 2 3 and 4 5 6.
const std::array<Upright, 8> all_upright = {{{2, 3, {1, 2, 3, 4, 5, 6}},
                                             {2, 3, {3, 2, 1, 6, 5, 4}},
                                             {2, 3, {6, 5, 4, 3, 2, 1}},
                                             {2, 3, {4, 5, 6, 1, 2, 3}},
                                             {3, 2, {1, 4, 2, 5, 3, 6}},
                                             {3, 2, {4, 1, 5, 2, 6, 3}},
                                             {3, 2, {6, 3, 5, 2, 4, 1}},
                                             {3, 2, {3, 6, 2, 5, 1, 4}}}};

}  // namespace

TEST_CASE("exif: the pixels of all eight orientations") {
  for (int orientation = 1; orientation <= 8; ++orientation) {
    CAPTURE(orientation);
    const Upright& expected = all_upright[static_cast<std::size_t>(orientation - 1)];
    Image image = numbered(2, 3, {1, 2, 3, 4, 5, 6}), spare;
    turn_upright(image, orientation, spare);
    CHECK(image.height == expected.height);
    CHECK(image.width == expected.width);
    CHECK(image.pixels == numbered(expected.height, expected.width, expected.numbers).pixels);
  }
}

TEST_CASE("exif: a picture is turned while it is decoded, and by default it is not") {
  const Image stored = numbered(2, 3, {1, 2, 3, 4, 5, 6});
  const Bytes plain = write_png({2, 3, 8, 2, {}}, stored.pixels);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    CAPTURE(orientation);
    const Upright& expected = all_upright[static_cast<std::size_t>(orientation - 1)];
    const Bytes file = png_with_orientation(plain, orientation);
    const ImageHeader header = probe_image(file, applying());
    CHECK(header.height == expected.height);
    CHECK(header.width == expected.width);
    const Decoded turned = decode_image(file, applying());
    REQUIRE(turned.outcome == Outcome::ok);
    CHECK(turned.is_whole());
    CHECK(turned.image.height == expected.height);
    CHECK(turned.image.pixels == numbered(expected.height, expected.width, expected.numbers).pixels);
    CHECK(probe_image(file).height == 2);
    CHECK(decode_image(file).image.pixels == stored.pixels);
  }
}

TEST_CASE("exif: a part of a turned JPEG is the same part of the whole one") {
  const Image image = formula_image(45, 70);
  const Bytes plain = write_jpeg(image.pixels, 45, 70, 3);
  const Decoded stored = decode_image(plain);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    CAPTURE(orientation);
    const Bytes file = jpeg_with_orientation(plain, orientation, orientation % 2 == 0);
    Image expected = stored.image, spare;
    turn_upright(expected, orientation, spare);
    const Decoded whole = decode_image(file, applying());
    REQUIRE(whole.outcome == Outcome::ok);
    CHECK(whole.image.pixels == expected.pixels);
    for (const Region& wanted : {Region{0, 0, 5, 7}, Region{20, 11, 16, 9}, Region{38, 30, 7, 15}}) {
      const Decoded part = decode_region(file, wanted, applying());
      REQUIRE(part.outcome == Outcome::ok);
      CHECK(!part.is_whole());
      CHECK(part.held().contains(wanted));
      CHECK(part.picture_height == expected.height);
      CHECK(part.picture_width == expected.width);
      for (int y = wanted.top; y < wanted.bottom(); ++y)
        CHECK(std::memcmp(part.image.pixel(y - part.top, wanted.left - part.left),
                          expected.pixel(y, wanted.left), std::size_t(wanted.width) * 3) == 0);
    }
  }
}

TEST_CASE("exif: a part of the upright picture and of the stored one") {
  const auto is = [](const Region& region, int top, int left, int height, int width) {
    return region.top == top && region.left == left && region.height == height && region.width == width;
  };
  // Stored: 4 rows of 6 pixels. Upright: rows 1 and 2, column 0; turned by 90 degrees, the picture has 6 rows of 4.
  const Region wanted{1, 0, 2, 1};
  CHECK(is(stored_region(wanted, 1, 4, 6), 1, 0, 2, 1));
  CHECK(is(stored_region(wanted, 2, 4, 6), 1, 5, 2, 1));
  CHECK(is(stored_region(wanted, 3, 4, 6), 1, 5, 2, 1));
  CHECK(is(stored_region({0, 0, 1, 2}, 3, 4, 6), 3, 4, 1, 2));
  CHECK(is(stored_region({0, 0, 1, 2}, 4, 4, 6), 3, 0, 1, 2));
  CHECK(is(stored_region(wanted, 5, 4, 6), 0, 1, 1, 2));
  CHECK(is(stored_region(wanted, 6, 4, 6), 3, 1, 1, 2));
  CHECK(is(stored_region(wanted, 7, 4, 6), 3, 3, 1, 2));
  CHECK(is(stored_region(wanted, 8, 4, 6), 0, 3, 1, 2));
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Region back = upright_region(stored_region(wanted, orientation, 4, 6), orientation, 4, 6);
    CHECK(is(back, 1, 0, 2, 1));
  }
}

TEST_CASE("exif: the orientation in each format, in both byte orders") {
  const Bytes jpeg = write_jpeg(formula_image(8, 8).pixels, 8, 8, 3);
  const Bytes png = write_png({8, 8, 8, 2, {}}, formula_image(8, 8).pixels);
  CHECK(exif_orientation(jpeg, ImageFormat::jpeg) == 1);
  CHECK(exif_orientation(png, ImageFormat::png) == 1);
  for (const bool big : {false, true}) {
    CHECK(exif_orientation(jpeg_with_orientation(jpeg, 6, big), ImageFormat::jpeg) == 6);
    CHECK(exif_orientation(png_with_orientation(png, 3, big), ImageFormat::png) == 3);
    CHECK(exif_orientation(tiff_block(8, big), ImageFormat::tiff) == 8);
  }
  CHECK(exif_orientation(webp_with_orientation(5), ImageFormat::webp) == 5);
  CHECK(exif_orientation(tiff_block(8), ImageFormat::heic) == 1);  // libheif turns those itself
  // Bytes between the segments of a JPEG, and a comment in front of the EXIF data.
  Bytes with_more = jpeg_with_orientation(jpeg, 7);
  const Bytes more{0xFF, 0xFE, 0, 4, 'h', 'i', 0xFF};
  with_more.insert(with_more.begin() + 2, more.begin(), more.end());
  CHECK(exif_orientation(with_more, ImageFormat::jpeg) == 7);
}

TEST_CASE("exif: the text that ImageMagick wrote into PNG files, plain and compressed") {
  const Bytes png = write_png({2, 3, 8, 2, {}}, formula_image(2, 3).pixels);
  const auto with = [&](std::string_view chunk, const std::vector<Bytes>& parts) {
    Bytes file = png;
    const Bytes bytes = png_chunk(chunk, joined(parts));
    file.insert(file.end() - 12, bytes.begin(), bytes.end());
    return file;
  };
  const auto found = [&](std::string_view chunk, const std::vector<Bytes>& parts) {
    return exif_orientation(with(chunk, parts), ImageFormat::png);
  };
  const Bytes keyword = exif_keyword(), method{0}, packed = zlib_stream(exif_profile(8));
  CHECK(found("tEXt", {keyword, exif_profile(6)}) == 6);
  CHECK(found("zTXt", {keyword, method, packed}) == 8);
  const ImageHeader turned = probe_image(with("zTXt", {keyword, method, packed}), applying());
  CHECK(turned.height == 3);
  CHECK(turned.width == 2);
  // The chunk eXIf goes before it, also if it comes later.
  CHECK(exif_orientation(png_with_orientation(with("tEXt", {keyword, exif_profile(6)}), 3), ImageFormat::png) ==
        3);
  // A text that is followed by ten million bytes, which are not decompressed.
  CHECK(found("zTXt", {keyword, method, zlib_stream(joined({exif_profile(5), Bytes(10'000'000, '\n')}))}) == 5);
  // Other keywords, texts that are no digits, data that are cut or damaged.
  CHECK(found("tEXt", {text_bytes("Raw profile type iptc"), method, exif_profile(6)}) == 1);
  CHECK(found("tEXt", {keyword, text_bytes("\nexif\n 44\nxyz")}) == 1);
  CHECK(found("tEXt", {keyword}) == 1);
  for (std::size_t length = 0; length < 40; ++length) {
    const Bytes profile = exif_profile(6);
    CHECK(found("tEXt",
                {keyword, Bytes(profile.begin(), profile.begin() + static_cast<std::ptrdiff_t>(length))}) == 1);
    Bytes damaged = packed;
    damaged.resize(std::min<std::size_t>(length, 12));
    CHECK(found("zTXt", {keyword, method, damaged}) == 1);
  }
  CHECK(found("zTXt", {keyword}) == 1);
}

TEST_CASE("exif: values that are none, and directories that are cut or point elsewhere, are upright") {
  CHECK(exif_orientation(tiff_block(0), ImageFormat::tiff) == 1);
  CHECK(exif_orientation(tiff_block(9), ImageFormat::tiff) == 1);
  const auto changed = [](std::size_t at, std::uint8_t value) {
    Bytes tiff = tiff_block(6);
    tiff[at] = value;
    return exif_orientation(tiff, ImageFormat::tiff);
  };
  CHECK(changed(0, 'I') == 6);
  CHECK(changed(0, 'X') == 1);
  CHECK(changed(2, 43) == 1);
  CHECK(changed(24, 4) == 6);     // a number of 32 bits
  CHECK(changed(24, 1) == 6);     // of 8 bits
  CHECK(changed(24, 2) == 1);     // a text
  CHECK(changed(24, 10) == 1);    // a fraction with a sign
  CHECK(changed(26, 2) == 1);     // two values
  CHECK(changed(8, 1) == 1);      // the directory ends in front of the entry
  CHECK(changed(8, 255) == 6);    // it says it is longer than the file
  CHECK(changed(22, 0x13) == 1);  // another tag
  CHECK(changed(4, 0) == 1);      // the directory lies in its own header
  CHECK(changed(7, 255) == 1);    // far behind the end
  const Bytes whole = jpeg_with_orientation(write_jpeg(formula_image(8, 8).pixels, 8, 8, 3), 6);
  for (std::size_t length = 0; length < 50; ++length)  // the segment ends at byte 50
    CHECK(exif_orientation(std::span(whole).first(length), ImageFormat::jpeg) == 1);
  CHECK(exif_orientation(std::span(whole).first(50), ImageFormat::jpeg) == 6);
  for (const ImageFormat format : {ImageFormat::jpeg, ImageFormat::png, ImageFormat::webp, ImageFormat::tiff})
    CHECK(exif_orientation({}, format) == 1);
}
