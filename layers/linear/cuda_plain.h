// The linear layer on the GPU without a library: for shapes that no cuBLASLt algorithm supports, and for the
// emulated GPU. Plain and slow; any size; f32, bf16 and f16.
#pragma once

#include <kindred/layers/linear/kernels.h>

namespace kindred::cuda {

extern const LinearKernels linear_plain;

}  // namespace kindred::cuda
