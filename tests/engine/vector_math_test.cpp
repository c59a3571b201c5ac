// engine/cpu/vector_math.h: the fast exponential is right to the last digits, and at its edges.
#include <kindred/engine/cpu/vector_math.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace kindred {
namespace {

TEST_CASE("fast_exp is within 1.5 units in the last place") {
  double worst = 0;
  for (float x = -87.2f; x < 88.2f; x += 0.0009f)
    worst = std::max(worst, std::abs(fast_exp(x) / std::exp(static_cast<double>(x)) - 1));
  CHECK(worst < 1.5 * std::numeric_limits<float>::epsilon());
  CHECK(fast_exp(0) == 1);
}

TEST_CASE("fast_exp at its edges") {
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(fast_exp(-infinity) == 0);
  CHECK(fast_exp(-88) == 0);
  CHECK(fast_exp(infinity) == infinity);
  CHECK(fast_exp(89) == infinity);
  CHECK(std::isnan(fast_exp(std::nanf(""))));
}

TEST_CASE("loops over floats: the largest, and the sum of exponentials") {
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(largest(nullptr, 0) == -infinity);
  CHECK(sum_of_exponentials(nullptr, 0, 1) == 0);
  for (const std::int64_t count : {1, 3, 15, 16, 17, 64, 301}) {
    std::vector<float> values;
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      values.push_back(static_cast<float>(i * 37 % count) / 8);
      sum += std::exp(static_cast<double>(values.back()) - 2);
    }
    CHECK(largest(values.data(), count) == static_cast<float>(count - 1) / 8);
    CHECK(sum_of_exponentials(values.data(), count, 2) == doctest::Approx(sum).epsilon(1e-6));
    values.back() = infinity;
    CHECK(largest(values.data(), count) == infinity);
    values.back() = std::nanf("");
    CHECK(std::isnan(sum_of_exponentials(values.data(), count, 2)));
  }
}

}  // namespace
}  // namespace kindred
