// The linear (fully connected) layer: y = x W^T + b.
//
// Weight and bias are initialized as in PyTorch: uniform in +-1/sqrt(in_features).
#pragma once

#include <kindred/engine/parameters.h>

#include <string>

namespace kindred {

// x[m, in], weight[out, in], bias[out] or undefined -> [m, out], in the type of x. The weight has the type of
// x. The bias is f32 (f64 if x is f64).
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias);
// max(linear(x, weight, bias), 0), where a NaN stays a NaN. On the CPU the two are fused, which saves a pass
// through memory.
Tensor linear_relu(const Tensor& x, const Tensor& weight, const Tensor& bias);

struct Linear {
  Linear(ParameterStore& store, const std::string& name, std::int64_t in_features, std::int64_t out_features);
  Tensor operator()(const Tensor& x) const;  // [m, in] -> [m, out]
  Tensor with_relu(const Tensor& x) const;

  std::string name;
  Parameter& weight;  // [out, in]
  Parameter& bias;    // [out]
};

}  // namespace kindred
