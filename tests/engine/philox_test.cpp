#include <doctest/doctest.h>
#include <kindred/engine/random/philox.h>

#include <cmath>
#include <set>
#include <vector>

namespace kindred {
namespace {

using Words = std::vector<std::uint32_t>;

Words words(PhiloxWords counter, std::uint32_t key0, std::uint32_t key1) {
  const PhiloxWords out = philox4x32(counter, key0, key1);
  return {out.word, out.word + 4};
}

TEST_CASE("philox: the known answers of its authors (Random123, kat_vectors)") {
  constexpr std::uint32_t ones = 0xffffffff;
  CHECK(words({{0, 0, 0, 0}}, 0, 0) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(words({{ones, ones, ones, ones}}, ones, ones) == Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(words({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("random stream: the same key gives the same numbers, each part of the key others") {
  const auto first = [](RandomStream stream) {
    return Words{stream.bits(), stream.bits(), stream.bits(), stream.bits()};
  };
  CHECK(first({9, Purpose::augment, 1, 2, 3}) == first({9, Purpose::augment, 1, 2, 3}));
  std::set<Words> seen;
  int streams = 0;
  for (const std::uint64_t seed : {0ull, 1ull, 1ull << 32, ~0ull})
    for (const Purpose purpose : {Purpose::initialize, Purpose::shuffle, Purpose::augment, Purpose::test})
      for (std::uint32_t epoch = 0; epoch < 4; ++epoch)
        for (std::uint32_t sample = 0; sample < 4; ++sample)
          for (std::uint32_t view = 0; view < 4; ++view, ++streams)
            seen.insert(first({seed, purpose, epoch, sample, view}));
  CHECK(static_cast<int>(seen.size()) == streams);
}

TEST_CASE("random stream: a stream goes through its blocks in order") {
  RandomStream stream(7, Purpose::test, 11, 13, 17);
  for (std::uint32_t block = 0; block < 3; ++block) {
    const Words expected =
        words({{block, 11, 13, (17u << 8) | static_cast<std::uint32_t>(Purpose::test)}}, 7, 0);
    for (const std::uint32_t word : expected) CHECK(stream.bits() == word);
  }
}

// The mean of n draws of a variable with variance s^2 has the deviation s / sqrt(n); five times that is
// allowed.
TEST_CASE("random stream: moments of the distributions") {
  constexpr int n = 200'000;
  RandomStream stream(1, Purpose::test);
  double sum = 0, squares = 0, low = 1, high = 0;
  for (int i = 0; i < n; ++i) {
    const double u = stream.uniform();
    sum += u;
    squares += u * u;
    low = std::min(low, u);
    high = std::max(high, u);
  }
  CHECK(low >= 0);
  CHECK(high < 1);
  CHECK(std::abs(sum / n - 0.5) < 5 * std::sqrt(1.0 / 12 / n));
  CHECK(std::abs(squares / n - 1.0 / 3) < 5 * std::sqrt(4.0 / 45 / n));

  sum = squares = 0;
  double cubes = 0, fourths = 0;
  for (int i = 0; i < n; ++i) {
    const double z = stream.normal();
    sum += z;
    squares += z * z;
    cubes += z * z * z;
    fourths += z * z * z * z;
  }
  CHECK(std::abs(sum / n) < 5 * std::sqrt(1.0 / n));
  CHECK(std::abs(squares / n - 1) < 5 * std::sqrt(2.0 / n));
  CHECK(std::abs(cubes / n) < 5 * std::sqrt(15.0 / n));
  CHECK(std::abs(fourths / n - 3) < 5 * std::sqrt(96.0 / n));

  std::vector<int> counts(7, 0);
  for (int i = 0; i < n; ++i) ++counts[stream.below(7)];
  for (const int count : counts) CHECK(std::abs(count - n / 7.0) < 5 * std::sqrt(n * (1 / 7.0) * (6 / 7.0)));
  for (int i = 0; i < 100; ++i) CHECK(stream.below(1) == 0);
  for (int i = 0; i < 1000; ++i) {
    const float u = stream.uniform(-2, 3);
    CHECK((u >= -2 && u <= 3));
  }
}

}  // namespace
}  // namespace kindred
