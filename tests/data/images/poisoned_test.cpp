// Every byte of a decoded picture is written, whatever the format, also where a file is cut off or damaged.
#include "poisoned.h"
#include "../png/png_writer.h"
#include "../test_images.h"

#include <doctest/doctest.h>

using namespace kindred;
using namespace kindred::test;

namespace {

struct NamedFile {
  const char* name;
  Bytes bytes;
};

std::vector<NamedFile> small_pictures() {
  const Image image = formula_image(24, 31);
  PngPicture interlaced{.height = 24, .width = 31, .interlaced = true, .filters = {4, 1, 3, 2}};
  interlaced.samples.assign(image.pixels.begin(), image.pixels.end());
  Bytes pgm{'P', '5', ' ', '3', '1', ' ', '2', '4', ' ', '2', '5', '5', '\n'};
  pgm.insert(pgm.end(), image.pixels.begin(), image.pixels.begin() + 24 * 31);
  return {{"JPEG", write_jpeg(image.pixels, 24, 31, 3)},
          {"JPEG, progressive", write_jpeg(image.pixels, 24, 31, 3, true)},
          {"JPEG, gray", write_jpeg(image.pixels, 24, 31, 1)},
          {"PNG", write_png({24, 31, 8, 2, {}}, image.pixels)},
          {"PNG, interlaced", png_file(interlaced)},
          {"BMP", write_bmp(image)},
          {"PGM", pgm}};
}

}  // namespace

TEST_CASE("poisoned memory: whole files write every byte of their picture") {
  for (const NamedFile& file : small_pictures()) {
    CAPTURE(file.name);
    const PoisonedDecoding decoding = decode_poisoned(file.bytes);
    CHECK(decoding.picture.outcome == Outcome::ok);
    CHECK(decoding.is_all_written);
  }
}

TEST_CASE("poisoned memory: files that are cut off write every byte or give no picture") {
  for (const NamedFile& file : small_pictures()) {
    CAPTURE(file.name);
    for (std::size_t length = 0; length < file.bytes.size(); length += 1 + file.bytes.size() / 100) {
      CAPTURE(length);
      CHECK(decode_poisoned(std::span(file.bytes).first(length)).is_all_written);
    }
  }
}

// What the cases above rest on.
TEST_CASE("poisoned memory: a picture that gets the size that it has keeps its bytes") {
  Image image(1, 2);
  std::fill(image.pixels.begin(), image.pixels.end(), std::uint8_t{0xFF});
  image.resize(1, 1);
  CHECK(image.pixels == Bytes{255, 255, 255});
  image.resize(1, 1);
  CHECK(image.pixels == Bytes{255, 255, 255});
}
