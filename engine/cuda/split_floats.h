// Floats as the sum of two numbers that tensor cores can read. Only .cu files include this header.
#pragma once

#include <kindred/engine/cuda/launch.h>

#include <cstdint>
#include <cstring>

namespace kindred::cuda {

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

}  // namespace kindred::cuda
