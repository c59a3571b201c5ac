// Products of small matrices on tensor cores. Each lane of a warp holds a part of each matrix. Only .cu files
// include this header.
//
// In c[16 x 8] += a[16 x 8] b[8 x 8], lane 4 g + t holds these elements (PTX ISA, mma.m16n8k8 with .tf32; row
// first):
//   a  (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4)
//   b  (t, g), (t + 4, g)
//   c  (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1)
//
// Tensor cores read tf32, which keeps 11 of the 24 bits of a float. So each factor is split into the part that
// tf32 holds and the rest, and three products are added: big * big + big * small + small * big ("3xTF32"). The
// missing part is 2^-22 of a product, about as much as a float's own rounding.
#pragma once

#include <kindred/engine/cuda/split_floats.h>

namespace kindred::cuda {

// This lane's position in a product: g and t.
__device__ inline int lane_group() {
  return static_cast<int>(threadIdx.x) % warp / 4;
}
__device__ inline int lane_in_group() {
  return static_cast<int>(threadIdx.x) % 4;
}

}  // namespace kindred::cuda

// Two functions follow, or their emulation (emulation/mma.h).
//
// fast_exp(x): e^x within 2 + 1.2 |x| units in the last place, in two instructions; 0 below 2^-126.
//
// multiply_add(c, a, b): c[n] += the sum over the steps of a[step] b[step][n], for the first N of c. All lanes
// of the warp must call it. The N products are independent, so none waits for another.
//
// Tensor cores round toward zero (tensor_core.h), so c shrinks a little with every step, and a sum over
// thousands of steps would lose all that 3xTF32 gains. Start again at zero after a few steps, and add up the
// partial results with float additions. The small products go first, because they are rounded relative to c,
// which is still small then.
#ifdef KINDRED_EMULATE
#include <kindred/engine/cuda/emulation/mma.h>
#else
namespace kindred::cuda {

__device__ inline float fast_exp(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x * 1.4426950408889634f));
  return result;
}

__device__ inline void multiply_add_tf32(float (&c)[4], const float (&a)[4], const float (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(bits_of(a[0])), "r"(bits_of(a[1])), "r"(bits_of(a[2])), "r"(bits_of(a[3])), "r"(bits_of(b[0])),
        "r"(bits_of(b[1])));
}

template <int Steps, int N>
__device__ inline void multiply_add(float (*c)[4], const SplitFloats<4> (&a)[Steps],
                                    const SplitFloats<2> (&b)[Steps][N]) {
#pragma unroll
  for (int s = 0; s < Steps; ++s) {
#pragma unroll
    for (int n = 0; n < N; ++n) multiply_add_tf32(c[n], a[s].small, b[s][n].big);
#pragma unroll
    for (int n = 0; n < N; ++n) multiply_add_tf32(c[n], a[s].big, b[s][n].small);
  }
#pragma unroll
  for (int s = 0; s < Steps; ++s)
#pragma unroll
    for (int n = 0; n < N; ++n) multiply_add_tf32(c[n], a[s].big, b[s][n].big);
}

}  // namespace kindred::cuda
#endif
