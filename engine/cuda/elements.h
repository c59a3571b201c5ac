// Filling and converting tensors on the GPU.
#pragma once

#include <kindred/engine/widening.h>

namespace kindred::cuda {

void fill(Output tensor, double value);
// Both tensors have the same number of elements; the element types may be any two.
void convert(const Tensor& from, Output to);

// See widening.h.
void widen(std::span<const Widening> all);

// Fills the tensor with pseudo-random values, for timing: f32, bf16 and f16 get numbers in [-1, 1), other types
// get random bytes.
void randomize(Output tensor);

}  // namespace kindred::cuda
