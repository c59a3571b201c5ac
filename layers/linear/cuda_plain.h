// The linear layer on the GPU without a library: for shapes that cuBLASLt has no algorithm for, and where the
// GPU is emulated. Plain, slow, of any size; f32, bf16 and f16.
#pragma once

#include <kindred/layers/linear/kernels.h>

namespace kindred::cuda {

extern const LinearKernels linear_plain;

}  // namespace kindred::cuda
