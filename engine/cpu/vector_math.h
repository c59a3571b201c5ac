// Mathematical functions that the compiler turns into vector code.
//
// A simple loop over arrays becomes vector code for every kind of processor in a source that is compiled for each
// (vectors.h). A sum over floats needs `#pragma omp simd reduction(+ : sum)`, which allows the compiler to reorder the
// additions.
#pragma once

#include <bit>
#include <cstdint>

namespace kindred {

// e^x within 1.5 units in the last place. It has no branch and no table, so a loop over it becomes vector code.
// The result is 0 below -87.3, where e^x is smaller than the normal floats, infinity above 88.4, and NaN for
// NaN.
//
// x = n ln2 + r with |r| <= ln2 / 2. A polynomial gives e^r (Cephes, expf); writing n into the exponent bits
// gives 2^n.
inline float fast_exp(float x) {
  constexpr float lowest = -87.3f, highest = 88.8f;
  constexpr float round_to_integer =
      12582912.0f;  // 1.5 * 2^23: adding it moves the integer into the lowest bits
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
  // n = 128 gives the bits of infinity.
  const float power = std::bit_cast<float>((std::bit_cast<std::uint32_t>(shifted) + 127u) << 23);
  return x < lowest ? 0.0f : exp_r * power;
}

// The largest of `count` floats, ignoring NaN; -inf if there are none.
float largest(const float* values, std::int64_t count);

// The sum of exp(values[i] - shift).
float sum_of_exponentials(const float* values, std::int64_t count, float shift);

}  // namespace kindred
