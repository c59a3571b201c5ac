#include "formula.h"
#include "../places.h"

#include <kindred/engine/error.h>  // defines: check
#include <kindred/engine/files/json_text.h>
#include <kindred/engine/random/philox.h>  // defines: RandomStream, Purpose

#include <cmath>
#include <fstream>

namespace kindred::golden {

std::uint64_t fnv1a64(const std::string& name) {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (const char character : name) {
    hash = (hash ^ static_cast<unsigned char>(character)) * 0x100000001B3u;
  }
  return hash;
}

std::vector<double> formula(const std::string& name, std::int64_t n, float low, float high) {
  RandomStream stream(fnv1a64(name), Purpose::test);
  // stream.uniform(low, high) is not used: the compiler may fuse its multiplication and addition, and then
  // rounding differs. In double both are exact, fused or not, and only the conversion to float rounds.
  const double width = high - low;  // the difference is a float
  std::vector<double> values(static_cast<std::size_t>(n));
  for (double& value : values) value = static_cast<float>(low + width * stream.uniform());
  return values;
}

std::vector<std::int32_t> formula_labels(const std::string& name, std::int64_t n, std::int32_t classes) {
  std::vector<std::int32_t> labels;
  for (const double u : formula(name, n, 0, 1)) labels.push_back(static_cast<std::int32_t>(classes * u));
  return labels;
}

Range conv_weight_range(std::int64_t fan_in) {
  const auto bound = static_cast<float>(std::sqrt(6.0 / static_cast<double>(fan_in)));
  return {-bound, bound};
}

Range linear_weight_range(std::int64_t fan_in) {
  const auto bound = static_cast<float>(std::sqrt(3.0 / static_cast<double>(fan_in)));
  return {-bound, bound};
}

double norm(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum);
}

double projection(int k, const std::string& name, std::span<const double> values) {
  const std::string direction = "projection" + std::to_string(k) + ":" + name;
  const std::vector<double> weights = formula(direction, static_cast<std::int64_t>(values.size()), -1, 1);
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) sum += values[i] * weights[i];
  return sum;
}

nlohmann::json load_fixture(const std::string& name) {
  const std::string path = golden_dir() + "/" + name + ".json";
  std::ifstream file(path);
  check(file.good(), ExitCode::file, "{}: cannot be opened; tests/golden/make_golden.py makes it", path);
  return parse_json(std::string(std::istreambuf_iterator<char>(file), {}));
}

}  // namespace kindred::golden
