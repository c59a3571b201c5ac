// Filling and converting tensors on the GPU.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred::cuda {

void fill(const Tensor& tensor, double value);
// As many elements; any two element types.
void convert(const Tensor& from, const Tensor& to);

// Numbers in [-1, 1) that look random, for timing: f32, bf16 or f16; or bytes of any value.
void randomize(const Tensor& tensor);

}  // namespace kindred::cuda
