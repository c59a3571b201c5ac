// Fills models with the formula's weights, and compares tensors with the fixtures' summaries.
#pragma once

#include <kindred/engine/parameters.h>

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace kindred::golden {

// Every parameter of the store gets the formula's values for its kind and name; buffers keep 0 and 1. The
// fixture gives the range of batch norm's biases ("bn_bias").
void fill_parameters(ParameterStore& store, const nlohmann::json& fixture);

// An estimate of |ours - theirs| / |theirs| from the stored projections: the mean of a projection's squared
// error is a third of the squared norm of the error (formula.h).
double relative_error(const std::string& name, const std::vector<double>& ours, const nlohmann::json& theirs);

}  // namespace kindred::golden
