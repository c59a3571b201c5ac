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

#include <kindred/engine/cuda/launch.h>
#ifdef KINDRED_EMULATE
#include <kindred/engine/cuda/tensor_core.h>
#endif

#include <cstdint>
#include <cstring>

namespace kindred::cuda {

// This lane's position in a product: g and t.
__device__ inline int lane_group() {
  return static_cast<int>(threadIdx.x) % warp / 4;
}
__device__ inline int lane_in_group() {
  return static_cast<int>(threadIdx.x) % 4;
}

__device__ inline std::uint32_t bits_of(float x) {
  std::uint32_t bits = 0;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
__device__ inline float float_of(std::uint32_t bits) {
  float x = 0;
  memcpy(&x, &bits, sizeof x);
  return x;
}

// e^x within 2 + 1.2 |x| units in the last place, in two instructions; 0 below 2^-126.
__device__ inline float fast_exp(float x) {
#ifdef KINDRED_EMULATE
  return std::exp(x);
#else
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x * 1.4426950408889634f));
  return result;
#endif
}

// N numbers, each stored as the sum of two numbers that tensor cores can read.
template <int N>
struct SplitFloats {
  float big[N], small[N];

  __device__ explicit SplitFloats(const float (&x)[N]) {
#pragma unroll
    for (int i = 0; i < N; ++i) {
      // Rounds to the nearest number of 11 bits. A NaN may become any number here, but then the other part is a
      // NaN.
      big[i] = float_of((bits_of(x[i]) + 0x1000u) & 0xffffe000u);
      small[i] = x[i] - big[i];
    }
  }
  // Takes parts that another thread has split.
  __device__ SplitFloats(const float (&big_parts)[N], const float (&small_parts)[N]) {
#pragma unroll
    for (int i = 0; i < N; ++i) {
      big[i] = big_parts[i];
      small[i] = small_parts[i];
    }
  }
};

// multiply_add(c, a, b): c[n] += the sum over the steps of a[step] b[step][n], for the first N of c. All lanes
// of the warp must call it. The N products are independent, so none waits for another.
//
// Tensor cores round toward zero (tensor_core.h), so c shrinks a little with every step, and a sum over
// thousands of steps would lose all that 3xTF32 gains. Start again at zero after a few steps, and add up the
// partial results with float additions. The small products go first, because they are rounded relative to c,
// which is still small then.
#ifdef KINDRED_EMULATE
namespace emulated {

// The lanes of a warp meet, which does not order their memory, and compute the products of the parts that all
// of them hold (emulated_mma.cpp). The arrays are a[steps] and b[steps][products].
void multiply_add(float (*c)[4], const SplitFloats<4>* a, int steps, const SplitFloats<2>* b, int products);

}  // namespace emulated

template <int Steps, int N>
void multiply_add(float (*c)[4], const SplitFloats<4> (&a)[Steps], const SplitFloats<2> (&b)[Steps][N]) {
  emulated::multiply_add(c, a, Steps, b[0], N);
}
#else

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
#endif

}  // namespace kindred::cuda
