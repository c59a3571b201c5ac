// Products of small matrices on tensor cores, of which each lane of a warp holds a part. Included by .cu files
// alone.
//
// Lane 4 g + t holds of c[16 x 8] += a[16 x 8] b[8 x 8] these (PTX ISA, mma.m16n8k8 with .tf32; row first):
//   a  (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4)
//   b  (t, g), (t + 4, g)
//   c  (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1)
//
// Tensor cores read tf32, 11 bits of a float's 24. So each factor is split into what tf32 holds and the rest,
// and three products are added: big * big + big * small + small * big ("3xTF32"). What is missing is 2^-22 of a
// product, about as much as a float's own rounding.
#pragma once

#include <kindred/engine/cuda/launch.h>

#include <cstdint>
#include <cstring>

namespace kindred::cuda {

// This lane's place in a product: g and t.
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

// e^x to 2 + 1.2 |x| units in the last place, in two instructions; 0 below 2^-126.
__device__ inline float fast_exp(float x) {
#ifdef KINDRED_EMULATE
  return std::exp(x);
#else
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x * 1.4426950408889634f));
  return result;
#endif
}

// N numbers, each the sum of two that tensor cores can read.
template <int N>
struct SplitFloats {
  float big[N], small[N];

  __device__ explicit SplitFloats(const float (&x)[N]) {
#pragma unroll
    for (int i = 0; i < N; ++i) {
      // To the nearest number of 11 bits. A NaN may come out as anything, but is then a NaN in the other part.
      big[i] = float_of((bits_of(x[i]) + 0x1000u) & 0xffffe000u);
      small[i] = x[i] - big[i];
    }
  }
};

#ifdef KINDRED_EMULATE
namespace emulated {

// What the lanes of a block's warps hold, for the others to read.
struct LaneParts {
  float big_a[4], small_a[4], big_b[8][2], small_b[8][2];
};
inline LaneParts lanes[32][warp];

inline double truncated(float x) {  // tensor cores do not see the last 13 bits
  return static_cast<double>(float_of(bits_of(x) & 0xffffe000u));
}

}  // namespace emulated

template <int N>
void multiply_add(float (*c)[4], const SplitFloats<4>& a, const SplitFloats<2> (&b)[N]) {
  static_assert(N <= 8);
  emulated::LaneParts(&parts)[warp] = emulated::lanes[threadIdx.x / warp];
  emulated::LaneParts& own = parts[threadIdx.x % warp];
  for (int i = 0; i < 4; ++i) own.big_a[i] = a.big[i], own.small_a[i] = a.small[i];
  for (int n = 0; n < N; ++n)
    for (int i = 0; i < 2; ++i) own.big_b[n][i] = b[n].big[i], own.small_b[n][i] = b[n].small[i];
  __syncwarp();
  using emulated::truncated;
  for (int n = 0; n < N; ++n)
    for (int i = 0; i < 4; ++i) {
      double low = 0, high = 0;
      for (int k = 0; k < 8; ++k) {
        const emulated::LaneParts& x = parts[4 * lane_group() + k % 4];
        const emulated::LaneParts& y = parts[4 * (2 * lane_in_group() + i % 2) + k % 4];
        const int at_x = i / 2 + k / 4 * 2, at_y = k / 4;
        low += truncated(x.small_a[at_x]) * truncated(y.big_b[n][at_y]) +
               truncated(x.big_a[at_x]) * truncated(y.small_b[n][at_y]);
        high += truncated(x.big_a[at_x]) * truncated(y.big_b[n][at_y]);
      }
      c[n][i] = static_cast<float>(static_cast<double>(c[n][i]) + low);
      c[n][i] = static_cast<float>(static_cast<double>(c[n][i]) + high);
    }
  __syncwarp();
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

// c[n] += a b[n] for the N first of c. The N do not wait for each other. All lanes of the warp must call it.
template <int N>
__device__ inline void multiply_add(float (*c)[4], const SplitFloats<4>& a, const SplitFloats<2> (&b)[N]) {
#pragma unroll
  for (int n = 0; n < N; ++n) multiply_add_tf32(c[n], a.small, b[n].big);
#pragma unroll
  for (int n = 0; n < N; ++n) multiply_add_tf32(c[n], a.big, b[n].small);
#pragma unroll
  for (int n = 0; n < N; ++n) multiply_add_tf32(c[n], a.big, b[n].big);
}
#endif

}  // namespace kindred::cuda
