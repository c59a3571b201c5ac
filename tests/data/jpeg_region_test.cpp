// A decoded part of a picture equals the same part of the whole picture, for every kind of JPEG.
#include "test_images.h"

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <kindred/data/images/decode.h>
#include <kindred/engine/random/philox.h>

#include <cstring>

using namespace kindred;
using namespace kindred::test;

namespace {

Region random_region(int height, int width, RandomStream& random) {
  const auto below = [&](int n) { return static_cast<int>(random.below(static_cast<std::uint32_t>(n))); };
  Region r;
  r.height = 1 + below(height);
  r.width = 1 + below(width);
  r.top = below(height - r.height + 1);
  r.left = below(width - r.width + 1);
  return r;
}

bool equal_in(const Region& wanted, const Decoded& part, const Image& whole) {
  for (int y = wanted.top; y < wanted.bottom(); ++y) {
    if (std::memcmp(part.image.pixel(y - part.top, wanted.left - part.left), whole.pixel(y, wanted.left),
                    std::size_t(wanted.width) * 3) != 0) {
      return false;
    }
  }
  return true;
}

Bytes noise(std::size_t count) {
  Bytes bytes(count);
  RandomStream random(7, Purpose::toy_data);
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random.below(256));
  return bytes;
}

struct Sampling {
  int components, horizontal, vertical;
};

}  // namespace

TEST_CASE("jpeg region: a thousand random crops equal the whole decoding, bit by bit") {
  const int height = 101, width = 143;
  // Noise: every block and every chroma sample differs from its neighbours.
  const Bytes samples = noise(std::size_t(height) * std::size_t(width) * 4);
  RandomStream random(3, Purpose::toy_data);
  int crops = 0;
  for (const Sampling s : {Sampling{3, 1, 1},
                           {3, 2, 1},
                           {3, 2, 2},
                           {3, 1, 2},
                           {3, 4, 1},
                           {3, 4, 2},
                           {1, 1, 1},
                           {1, 2, 2},
                           {4, 1, 1},
                           {4, 2, 2}}) {
    for (const int kind : {0, 1, 2, 3, 4}) {
      JpegSpec spec;
      spec.height = height;
      spec.width = width;
      spec.components = s.components;
      spec.horizontal = s.horizontal;
      spec.vertical = s.vertical;
      spec.progressive = kind == 1 || kind == 2;
      spec.coarse = kind == 2;
      spec.restart_rows = kind == 3;
      spec.arithmetic = kind == 4;
      spec.quality = 70;
      const Bytes file = write_jpeg(spec, samples);
      const Decoded whole = decode_image(file);
      REQUIRE(whole.outcome == Outcome::ok);
      Decoder decoder;
      for (int i = 0; i < 25; ++i, ++crops) {
        const Region wanted = random_region(height, width, random);
        CAPTURE(fmt::format("{} components, {}x{}, kind {}: {} x {} at ({}, {})", s.components, s.horizontal,
                            s.vertical, kind, wanted.width, wanted.height, wanted.left, wanted.top));
        Decoded part;
        decoder.open(file);
        decoder.decode(wanted, part, i % 2 == 0 ? ReadTo::file_end : ReadTo::region_end);
        CHECK(part.outcome == Outcome::ok);
        REQUIRE(part.held().contains(wanted));
        CHECK(part.picture_height == height);
        CHECK(equal_in(wanted, part, whole.image));
        // Less is decoded where possible: at most a block and a column more than needed on either side.
        if (!spec.coarse) CHECK(part.image.height == wanted.height);
        if (!spec.coarse) CHECK(part.image.width <= wanted.width + 2 * (8 * s.horizontal + 1));
      }
    }
  }
  CHECK(crops >= 1000);
}

TEST_CASE("jpeg region: the outcome does not depend on the part") {
  JpegSpec spec;
  spec.height = spec.width = 96;
  spec.horizontal = spec.vertical = 2;
  const Bytes good = write_jpeg(spec, smooth_image(96, 96).pixels);
  RandomStream random(5, Purpose::toy_data);
  int damaged = 0, rejected = 0;
  for (int i = 0; i < 300; ++i) {
    Bytes file = good;
    if (i % 3 == 0) file.resize(file.size() / 2 + random.below(static_cast<std::uint32_t>(file.size() / 2)));
    for (int k = 0; k <= i % 3; ++k)
      file[300 + random.below(static_cast<std::uint32_t>(file.size() - 300))] =
          static_cast<std::uint8_t>(random.below(256));
    const Decoded whole = decode_image(file);
    const Region wanted = random_region(96, 96, random);
    const Decoded part = decode_region(file, wanted);
    CHECK(part.outcome == whole.outcome);
    CHECK(part.reason == whole.reason);
    damaged += whole.outcome == Outcome::damaged;
    rejected += whole.outcome == Outcome::rejected;
    if (whole.outcome != Outcome::rejected) CHECK(equal_in(wanted, part, whole.image));
  }
  CHECK(damaged > 20);
  CHECK(rejected > 20);
}

TEST_CASE("jpeg region: wishes beyond the picture are cut, impossible ones give the whole") {
  const Bytes file = write_jpeg(smooth_image(40, 30).pixels, 40, 30, 3);
  CHECK(decode_region(file, {-5, -5, 2000000000, 2000000000}).is_whole());
  CHECK(decode_region(file, {100, 100, 5, 5}).is_whole());
  CHECK(decode_region(file, {0, 0, 0, 0}).is_whole());
  const Decoded corner = decode_region(file, {35, 25, 100, 100});
  CHECK(corner.top == 35);
  CHECK(corner.held().bottom() == 40);
  CHECK(corner.held().right() == 30);
  CHECK(decode_region(Bytes{1, 2, 3}, {0, 0, 1, 1}).outcome == Outcome::rejected);
  Decoder decoder;
  decoder.open(file);
  Decoded out;
  CHECK(error_of([&] {
          decoder.decode({0, 0, 41, 1}, out);
        }).find("were requested from a picture") != std::string::npos);
}
