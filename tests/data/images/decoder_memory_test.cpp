// What a header says of the memory that decoding takes, by hand.
#include "../png/png_writer.h"
#include "exif_files.h"

#include <doctest/doctest.h>
#include <kindred/data/images/decode.h>

namespace kindred {
namespace {

using namespace test;

std::size_t decoder_bytes_of(const Bytes& file, const DecodeLimits& limits = {}) {
  const ImageHeader header = probe_image(file, limits);
  CHECK(header.reason == "");
  return header.decoder_bytes;
}

Bytes progressive_jpeg(int height, int width, int components, int luma_samples) {
  JpegSpec spec;
  spec.height = height;
  spec.width = width;
  spec.components = components;
  spec.horizontal = spec.vertical = luma_samples;
  spec.progressive = true;
  return write_jpeg(spec, Bytes(static_cast<std::size_t>(height * width * components), 90));
}

TEST_CASE("decoder memory: the rows of a PNG, and its data if they are in pieces") {
  const Bytes data(10);  // the header does not say what is in them
  // Three rows of 5 pixels of 3 bytes, each with the number of its filter.
  CHECK(decoder_bytes_of(png_file({.height = 3, .width = 5}, data)) == 48u);
  CHECK(decoder_bytes_of(png_file({.height = 3, .width = 5}, data, 6)) == 58u);
  CHECK(decoder_bytes_of(png_file({.height = 2, .width = 4, .bits = 16, .colour = 6}, data)) == 66u);
  CHECK(decoder_bytes_of(png_file({.height = 2, .width = 9, .bits = 1, .colour = 0}, data)) == 6u);
  // Seven passes: 4 + 4 + 7 + 2 * 7 + 2 * 13 + 4 * 13 + 4 * 25.
  CHECK(decoder_bytes_of(png_file({.height = 8, .width = 8, .interlaced = true}, data)) == 207u);
}

TEST_CASE("decoder memory: a picture that is turned takes its pixels once more") {
  const Bytes file = png_with_orientation(png_file({.height = 3, .width = 5}, Bytes(10)), 6);
  CHECK(decoder_bytes_of(file) == 48u);
  DecodeLimits limits;
  limits.exif = ExifMode::apply;
  CHECK(decoder_bytes_of(file, limits) == 93u);
}

TEST_CASE("decoder memory: the coefficients of a progressive JPEG") {
  const Image image = smooth_image(24, 17);
  CHECK(decoder_bytes_of(write_jpeg(image.pixels, 24, 17, 3)) == 0u);
  // 3 x 3 blocks of 64 coefficients of 2 bytes, in each of 3 channels.
  CHECK(decoder_bytes_of(progressive_jpeg(24, 17, 3, 1)) == 3456u);
  // 16 blocks of luma, and 4 of each of two channels of chroma.
  CHECK(decoder_bytes_of(progressive_jpeg(32, 32, 3, 2)) == 3072u);
  CHECK(decoder_bytes_of(progressive_jpeg(8, 16, 1, 1)) == 256u);
  CHECK(decoder_bytes_of(write_bmp(image)) == 0u);
}

}  // namespace
}  // namespace kindred
