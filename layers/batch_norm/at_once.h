// Training's batch norm with everything of a pass done at once, by a library that has it so. Elsewhere, and for
// statistics over several pieces, the halves of kernels.h.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

struct BatchNormAtOnce {
  // Whether it is there and the faster way for x [n, h, w, c]. The first call for a shape may wait for the GPU
  // and try what is there.
  bool (*is_faster)(const Tensor& x, bool relu, bool residual);

  // These two work for every shape of 8, 16, 24, ... channels, also where they are not the faster way. A NaN in
  // x reaches the statistics, d_scale and dx of its channel whatever the ReLU does with it: the check of the
  // gradients finds it.
  // As BatchNormKernels::statistics and apply. Where `mask` is defined there is a ReLU; the mask is for
  // backward() here, in its own order. A residual comes with a ReLU only.
  void (*forward)(const Tensor& x, const Tensor& scale, const Tensor& bias, const Tensor& residual,
                  double epsilon, const Tensor& mask, const Tensor& mean, const Tensor& variance,
                  const Tensor& y);

  // As BatchNormKernels::reduce and apply_backward, with the count of all rows. `d_residual` is defined where
  // forward() had a residual.
  void (*backward)(const Tensor& dy, const Tensor& mask, const Tensor& x, const Tensor& mean,
                   const Tensor& inv_std, const Tensor& scale, const Tensor& d_scale, const Tensor& d_bias,
                   const Tensor& dx, const Tensor& d_residual);
};
extern const BatchNormAtOnce* const batch_norm_at_once_cuda;  // null in a build without CUDA

}  // namespace kindred
