// The backward passes of batch norm on a GPU, as in BatchNormKernels. Only cuda.cu includes this file: it puts them into
// the table.
#pragma once

#include <kindred/layers/batch_norm/kernels.h>

namespace kindred {

void batch_norm_reduce_on_gpu(const Tensor& dy, const Tensor& addend, const Tensor& mask, const Tensor& x,
                              const BatchNormChannels& channels, Output d_scale, Output d_bias, Output dz);
void batch_norm_backward_on_gpu(const Tensor& dy, const Tensor& mask, const Tensor& x,
                                const BatchNormChannels& channels, const BatchNormSums& sums, Output dx,
                                Output d_residual);

}  // namespace kindred
