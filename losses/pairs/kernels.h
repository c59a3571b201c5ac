// The raw kernels of losses that depend on distances. The caller owns every tensor.
#pragma once

#include <kindred/losses/pairs/pairs.h>

namespace kindred {

struct PairsKernels {
  // distances[R, M] = |z_i - z_j|^2 for the R rows i from `first` on and for all j; never below 0.
  void (*distances)(const Tensor& features, std::int64_t first, Output distances);
  // loss[] = sum of losses / sum of counts and weight[] = 1 / sum of counts; both are 0 if the sum of counts is
  // 0.
  void (*mean)(const Tensor& losses, const Tensor& counts, Output loss, Output weight);
  // Adds to d_features[M, D] the gradient of the rows from `first` on. weights[R, M] are the derivatives with
  // respect to the squared distances; the gradient includes the factor upstream[] * weight[].
  void (*add_gradient)(const Tensor& features, std::int64_t first, const Tensor& weights,
                       const Tensor& upstream, const Tensor& weight, Output d_features);
};
extern const PairsKernels pairs_reference;    // f32, f64
extern const PairsKernels pairs_cpu;          // f32
extern const PairsKernels pairs_plan;         // see plan.cpp
extern const PairsKernels* const pairs_cuda;  // f32; null in a build without CUDA

const PairsKernels& pairs_kernels(Device device);

}  // namespace kindred
