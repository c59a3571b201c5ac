#include "golden_model.h"

#include <kindred/models/file_order.h>

#include "../golden/formula.h"

#include <algorithm>
#include <cmath>

namespace kindred::golden {
namespace {

Range range_of(const Parameter& parameter, Range batch_norm_bias) {
  const Shape& shape = parameter.shape;
  const bool is_bias = parameter.name.ends_with(".bias");
  if (parameter.kind == ParameterKind::normalization)
    return is_bias ? batch_norm_bias : batch_norm_weight_range;
  if (is_bias) return linear_bias_range;
  return shape.rank() == 4 ? conv_weight_range(shape[1] * shape[2] * shape[3]) : linear_weight_range(shape[1]);
}

}  // namespace

void fill_parameters(ParameterStore& store, const nlohmann::json& fixture) {
  const Range batch_norm_bias{fixture.at("bn_bias")[0].get<float>(), fixture.at("bn_bias")[1].get<float>()};
  for (Parameter& parameter : store.parameters()) {
    const Range range = range_of(parameter, batch_norm_bias);
    from_file_order(formula(parameter.name, parameter.shape.numel(), range.low, range.high), parameter.value);
  }
  store.refresh_low_precision();
}

double relative_error(const std::string& name, const std::vector<double>& ours, const nlohmann::json& theirs) {
  const auto& projections = theirs.at("projections");
  double squares = 0;
  for (std::size_t k = 0; k < projections.size(); ++k) {
    const double error = projection(static_cast<int>(k), name, ours) - projections[k].get<double>();
    squares += error * error;
  }
  const double estimate = std::sqrt(3 * squares / static_cast<double>(projections.size()));
  const double norm_error = std::abs(norm(ours) - theirs.at("norm").get<double>());
  return std::max(estimate, norm_error) / theirs.at("norm").get<double>();
}

}  // namespace kindred::golden
