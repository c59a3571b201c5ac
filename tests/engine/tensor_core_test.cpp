// The emulation's tensor core against sums computed by hand. A float keeps 23 bits after the point. A tensor
// core keeps 25 bits below its largest term and drops the rest.
#include <kindred/engine/cuda/tensor_core.h>

#include <doctest/doctest.h>

#include <cmath>
#include <initializer_list>
#include <limits>
#include <utility>

namespace kindred {
namespace {

using cuda::emulated::Factors;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

// c + the sum of x y over up to eight pairs.
float sum(float c, std::initializer_list<std::pair<float, float>> pairs) {
  Factors a, b;
  int k = 0;
  for (const auto& [x, y] : pairs) {
    a.set(k, x);
    b.set(k++, y);
  }
  return cuda::emulated::tensor_core_sum(c, a, b);
}

float power(int exponent) {
  return std::ldexp(1.0f, exponent);
}

// Also checks that negated terms give the negated sum.
void check_sum(float expected, float c, std::initializer_list<std::pair<float, float>> pairs) {
  CHECK(sum(c, pairs) == expected);
  Factors a, b;
  int k = 0;
  for (const auto& [x, y] : pairs) {
    a.set(k, -x);
    b.set(k++, y);
  }
  CHECK(cuda::emulated::tensor_core_sum(-c, a, b) == -expected);
}

TEST_CASE("tensor core: sums that a float holds are exact") {
  check_sum(0, 0, {});
  check_sum(7, 1, {{2, 3}});
  check_sum(-2.5f, 1.5f, {{2, -3}, {1, 1}, {-1, -1}});
  check_sum(8, 0, {{1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}});
  check_sum(1 + power(-23), 1, {{power(-12), power(-11)}});
  check_sum(power(-149), 0, {{power(-100), power(-49)}});  // the smallest float
  check_sum(3 * power(-149), power(-149), {{power(-75), power(-73)}, {power(-130), power(-30)}});
  check_sum(power(127) * 1.5f, power(127), {{power(100), power(26)}});
}

TEST_CASE("tensor core: what lies below two more bits than a float has is dropped before it is added") {
  // Eight times 2^-26 is 2^-23, which a float could add to 1; but each term is dropped by itself.
  const std::pair<float, float> small{power(-13), power(-13)}, larger{power(-13), power(-12)};
  check_sum(1, 1, {small, small, small, small, small, small, small, small});
  check_sum(1, 0, {{1, 1}, small, small, small, small, small, small, small});
  // Four times 2^-25 is the last bit of a float; three times 2^-25 is dropped at the end.
  check_sum(1 + power(-23), 1, {larger, larger, larger, larger});
  check_sum(1, 1, {larger, larger, larger});
  check_sum(1 + power(-23), 1, {larger, larger, larger, larger, larger, larger, larger});
  // This is visible if large terms cancel.
  check_sum(power(-25), 1, {larger, {-1, 1}});
  check_sum(0, 1, {small, {-1, 1}});
}

TEST_CASE("tensor core: terms are lined up by the exponents of the factors, not of their product") {
  // 1.5 * 1.5 = 2.25 counts as a number from 1 to 2, so 2^-25 is kept; c is from 2 to 4, so there 2^-25 is
  // dropped.
  const std::pair<float, float> last{power(-13), power(-12)};
  check_sum(power(-25), 0, {{1.5f, 1.5f}, {-1.5f, 1.5f}, last});
  check_sum(0, -2.25f, {{1.5f, 1.5f}, last});
}

TEST_CASE("tensor core: sums are cut toward zero") {
  check_sum(1, 1, {{power(-12), 1.75f * power(-12)}});  // 1 + 0.875 units in the last place
  check_sum(-1, -1, {{power(-12), -1.75f * power(-12)}});
  check_sum(1 - power(-24), 1, {{power(-13), -power(-12)}});        // just below 1
  check_sum(2, 2 - power(-23), {{power(-12), 1.5f * power(-11)}});  // 2 + 0.25 units: cut off after a carry
  check_sum(power(-149), 0, {{power(-100), 1.75f * power(-49)}});   // cut off below the smallest float
  check_sum(0, 0, {{power(-100), power(-50)}});
  // So a continued sum shrinks, while rounding would err in both directions.
  constexpr float x = 717.0f / 1024;
  float on = 0;
  for (int step = 0; step < 1000; ++step) on = sum(on, {{x, x}});
  const double lost = 1 - static_cast<double>(on) / (1000.0 * x * x);
  CHECK(lost > 1e-5);
  CHECK(lost < 3e-5);
}

TEST_CASE("tensor core: factors are read without their last 13 bits") {
  check_sum(1, 0, {{1 + power(-11), 1}});
  check_sum(1 + power(-10), 0, {{1 + power(-10), 1}});
  check_sum(1, 0, {{1 + power(-10) - power(-23), 1}});
}

TEST_CASE("tensor core: what is not finite passes, and what is too large becomes infinite") {
  CHECK(std::isnan(sum(nan, {})));
  CHECK(std::isnan(sum(0, {{nan, 0}})));
  CHECK(std::isnan(sum(0, {{infinity, 0}})));
  CHECK(std::isnan(sum(infinity, {{-infinity, 1}})));
  CHECK(sum(infinity, {{1, 1}}) == infinity);
  CHECK(sum(1, {{-infinity, 2}, {power(127), power(127)}}) == -infinity);
  check_sum(infinity, 0, {{power(64), power(64)}});
  check_sum(infinity, std::numeric_limits<float>::max(), {{power(60), power(60)}});
  // Products may exceed the range of floats; the terms within the range are then lost.
  check_sum(0, power(100), {{power(100), power(100)}, {-power(100), power(100)}});
}

}  // namespace
}  // namespace kindred
