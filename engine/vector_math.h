// Mathematics that the compiler turns into vector code for the processor it runs on.
//
// Put KINDRED_VECTOR_CLONES before a plain function (no lambda, no template) with a simple loop over arrays:
// GCC compiles it for AVX-512, for AVX2 and for the baseline, and the right one is chosen when the program
// starts. A sum over floats needs `#pragma omp simd reduction(+ : sum)`, which allows the compiler to reorder
// it.
#pragma once

#include <bit>
#include <cstdint>

// The choice at program start runs before the sanitizers are ready; under them the baseline serves.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define KINDRED_VECTOR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define KINDRED_VECTOR_CLONES
#endif

namespace kindred {

// e^x within 1.5 units in the last place, without a branch or a table, so that a loop over it becomes vector
// code. 0 below -87.3, where e^x leaves the normal floats; infinite above 88.4; NaN for NaN.
//
// x = n ln2 + r with |r| <= ln2 / 2; e^r by a polynomial (Cephes, expf), 2^n by writing n into the exponent
// bits.
inline float fast_exp(float x) {
  constexpr float lowest = -87.3f, highest = 88.8f;
  constexpr float round_to_integer =
      12582912.0f;  // 1.5 * 2^23: adding it leaves the integer in the lowest bits
  constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;  // n * ln2_high is exact
  float bounded = x < lowest ? lowest : x;
  bounded = bounded > highest ? highest : bounded;
  const float shifted = bounded * 1.44269504f + round_to_integer;
  const float n = shifted - round_to_integer;
  const float r = (bounded - n * ln2_high) - n * ln2_low;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const float exp_r = p * (r * r) + r + 1.0f;
  // An n of 128 gives the bits of infinity.
  const float power = std::bit_cast<float>((std::bit_cast<std::uint32_t>(shifted) + 127u) << 23);
  return x < lowest ? 0.0f : exp_r * power;
}

// The largest of some floats, NaN left out; -inf for none.
float largest(const float* values, std::int64_t count);

// The sum of exp(values[i] - shift).
float sum_of_exponentials(const float* values, std::int64_t count, float shift);

}  // namespace kindred
