#include "png_writer.h"

#include <doctest/doctest.h>
#include <kindred/data/images/png/unfilter.h>
#include <kindred/engine/random/philox.h>

#include <algorithm>

using namespace kindred;
using namespace kindred::detail;
using test::Bytes;

namespace {

constexpr std::uint8_t behind = 0xA5;

// `bytes` bytes that are random or, for many equal distances, from a few levels, and the slack.
Bytes random_row(std::size_t bytes, bool few_levels, RandomStream& random) {
  Bytes row(bytes + unfilter_slack, behind);
  for (std::size_t i = 0; i < bytes; ++i)
    row[i] = static_cast<std::uint8_t>(few_levels ? random.below(4) * 85 : random.below(256));
  return row;
}

}  // namespace

TEST_CASE("PNG filters: the fast code gives the bytes of the plain one, and writes nothing behind the row") {
  RandomStream random(1, Purpose::augment, 7);
  for (std::uint8_t filter = 0; filter < png_filters; ++filter)
    for (const std::size_t pixel_bytes : {1u, 2u, 3u, 4u, 6u, 8u})
      for (std::size_t pixels = 1; pixels < 70; ++pixels) {
        CAPTURE(int{filter});
        CAPTURE(pixel_bytes);
        CAPTURE(pixels);
        const std::size_t bytes = pixels * pixel_bytes;
        const Bytes above = random_row(bytes, pixels % 2 == 0, random);
        Bytes plain = random_row(bytes, pixels % 3 == 0, random);
        Bytes fast = plain;
        unfilter_row_plain(static_cast<PngFilter>(filter), plain.data(), above.data(), bytes, pixel_bytes);
        unfilter_row(static_cast<PngFilter>(filter), fast.data(), above.data(), bytes, pixel_bytes);
        CHECK(fast == plain);
      }
}

// Two pixels: the first makes the left neighbour, the second meets it with every neighbour above and in the corner.
TEST_CASE("PNG filters: Paeth's choice for neighbours in steps of five levels") {
  const Bytes row_of_zeros(2 + unfilter_slack, 0);
  int different = 0, wrong = 0;
  for (int left = 0; left < 256; left += 5)
    for (int above_left = 0; above_left < 256; above_left += 5)
      for (int above = 0; above < 256; above += 5) {
        Bytes upper = row_of_zeros, fast = row_of_zeros;
        upper[0] = static_cast<std::uint8_t>(above_left);
        upper[1] = static_cast<std::uint8_t>(above);
        fast[0] = static_cast<std::uint8_t>(left - test::predicted_byte(4, 0, above_left, 0));
        Bytes plain = fast;
        unfilter_row(PngFilter::paeth, fast.data(), upper.data(), 2, 1);
        unfilter_row_plain(PngFilter::paeth, plain.data(), upper.data(), 2, 1);
        different += fast != plain;
        wrong += plain[0] != left || plain[1] != test::predicted_byte(4, left, above, above_left);
      }
  CHECK(different == 0);
  CHECK(wrong == 0);
}

TEST_CASE("PNG filters: a row by hand") {
  const Bytes above{10, 20, 30, 40};
  const auto undone = [&](PngFilter filter) {
    Bytes row{1, 2, 3, 250};
    unfilter_row_plain(filter, row.data(), above.data(), row.size(), 2);
    return row;
  };
  CHECK(undone(PngFilter::none) == Bytes{1, 2, 3, 250});
  CHECK(undone(PngFilter::sub) == Bytes{1, 2, 4, 252});
  CHECK(undone(PngFilter::up) == Bytes{11, 22, 33, 34});
  CHECK(undone(PngFilter::average) == Bytes{6, 12, 21, 20});
  CHECK(undone(PngFilter::paeth) == Bytes{11, 22, 33, 34});
}
