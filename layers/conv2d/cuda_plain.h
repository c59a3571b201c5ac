// Convolutions on the GPU without a library: for shapes that no engine of cuDNN supports, and where the GPU is
// emulated. Plain, slow, for any channels, strides and padding; f32, bf16 and f16.
#pragma once

#include <kindred/layers/conv2d/kernels.h>

namespace kindred::cuda {

extern const Conv2dKernels conv2d_plain;

}  // namespace kindred::cuda
