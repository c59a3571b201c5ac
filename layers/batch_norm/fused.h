// Fused batch norm for training: a library does each pass in one call. It serves batches that are processed
// whole, where the library is faster. In all other cases, and for statistics over several micro-batches or
// processes, the separate kernels of kernels.h are used.
#pragma once

#include <kindred/layers/batch_norm/kernels.h>

namespace kindred {

struct FusedBatchNorm {
  // Returns true if the fused kernels exist and are faster for x [n, h, w, c]. The first call for a shape may
  // time them, and so wait for the GPU.
  bool (*is_faster)(const Tensor& x, bool relu, bool residual);

  // forward() and backward() work for every shape of 8, 16, 24, ... channels, even if they are not faster. A
  // NaN in x reaches the statistics, d_scale and dx of its channel, whatever the ReLU does with it, so the
  // check of the gradients finds it.
  //
  // forward() does the work of BatchNormKernels::statistics and apply. If `mask` is defined, a ReLU is applied.
  // Only backward() of this table can read the mask, because the order of its bits is the library's own. A
  // residual requires a ReLU.
  void (*forward)(const Tensor& x, const Tensor& scale, const Tensor& bias, const Tensor& residual, Output mask,
                  Output mean, Output variance, Output y);

  // The work of BatchNormKernels::reduce and apply_backward, with the count of all rows. `d_residual` is
  // defined if forward() had a residual.
  void (*backward)(const Tensor& dy, const Tensor& mask, const Tensor& x, const BatchNormChannels& channels,
                   Output d_scale, Output d_bias, Output dx, Output d_residual);
};
extern const FusedBatchNorm* const fused_batch_norm_cuda;  // null in a build without CUDA

}  // namespace kindred
