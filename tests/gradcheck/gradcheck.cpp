#include "gradcheck.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace kindred::gradcheck {
namespace {

std::vector<Case>& cases() {
  static std::vector<Case> list;
  return list;
}

}  // namespace

Input uniform(const Shape& shape, Role role, double low, double high) {
  return {shape, role, [=](std::vector<double>& values, RandomStream& random) {
            for (double& value : values) value = low + (high - low) * random.uniform();
          }};
}

Input away_from_zero(const Shape& shape, Role role, double gap) {
  return {shape, role, [=](std::vector<double>& values, RandomStream& random) {
            for (double& value : values) {
              const double magnitude = gap + (1 - gap) * random.uniform();
              value = random.below(2) ? magnitude : -magnitude;
            }
          }};
}

Input distinct(const Shape& shape, Role role) {
  return {shape, role, [](std::vector<double>& values, RandomStream& random) {
            std::iota(values.begin(), values.end(), -static_cast<double>(values.size()) / 2);
            for (std::size_t i = values.size(); i > 1; --i)
              std::swap(values[i - 1], values[random.below(static_cast<std::uint32_t>(i))]);
            for (double& value : values) value *= 0.01;
          }};
}

bool add_case(Case new_case) {
  cases().push_back(std::move(new_case));
  return true;
}

const std::vector<Case>& all_cases() {
  return cases();
}

double relative_difference(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  const double ratio = std::sqrt(difference) / std::max(std::sqrt(norm), 1e-300);
  return std::isnan(ratio) ? std::numeric_limits<double>::infinity() : ratio;
}

}  // namespace kindred::gradcheck
