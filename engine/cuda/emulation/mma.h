// The emulation's form of what engine/cuda/mma.h does in machine code.
#pragma once

#include <kindred/engine/cuda/split_floats.h>
#include <kindred/engine/cuda/tensor_core.h>

#include <cmath>

namespace kindred::cuda {

__device__ inline float fast_exp(float x) {
  return std::exp(x);
}

namespace emulated {

// The lanes of a warp meet, which does not order their memory, and compute the products of the parts that all
// of them hold (mma.cpp). The arrays are a[steps] and b[steps][products].
void multiply_add(float (*c)[4], const SplitFloats<4>* a, int steps, const SplitFloats<2>* b, int products);

}  // namespace emulated

template <int Steps, int N>
void multiply_add(float (*c)[4], const SplitFloats<4> (&a)[Steps], const SplitFloats<2> (&b)[Steps][N]) {
  emulated::multiply_add(c, a, Steps, b[0], N);
}

}  // namespace kindred::cuda
