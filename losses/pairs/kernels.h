// The raw kernels of losses of distances. The caller owns every tensor.
#pragma once

#include <kindred/losses/pairs/pairs.h>

namespace kindred {

struct PairsKernels {
  // distances[R, M] = |z_i - z_j|^2 for the rows i from `first` on, and all j; never below 0.
  void (*distances)(const Tensor& features, std::int64_t first, const Tensor& distances);
  // loss[] = sum of losses / sum of counts and weight[] = 1 / sum of counts; both 0 where that is.
  void (*mean)(const Tensor& losses, const Tensor& counts, const Tensor& loss, const Tensor& weight);
  // Adds to d_features[M, D] the gradient of the rows from `first` on, whose derivatives by the squared
  // distances are weights[R, M]; the factor upstream[] * weight[] included.
  void (*add_gradient)(const Tensor& features, std::int64_t first, const Tensor& weights,
                       const Tensor& upstream, const Tensor& weight, const Tensor& d_features);
};
extern const PairsKernels pairs_reference;    // f32, f64
extern const PairsKernels pairs_cpu;          // f32
extern const PairsKernels pairs_plan;         // plan.cpp
extern const PairsKernels* const pairs_cuda;  // f32; null in a build without CUDA

const PairsKernels& pairs_kernels(Device device);

}  // namespace kindred
