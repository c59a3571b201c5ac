// Convolutions on the GPU without a library: for shapes that no cuDNN engine supports, and for the emulated
// GPU. Plain and slow; any channels, strides and padding; f32, bf16 and f16.
#pragma once

#include <kindred/layers/conv2d/kernels.h>

namespace kindred::cuda {

extern const Conv2dKernels conv2d_plain;

}  // namespace kindred::cuda
