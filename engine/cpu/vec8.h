// Eight floats at a time, for the bandwidth-bound loops of the CPU kernels. Uses AVX2 where the build has it
// and plain loops elsewhere. Loads and stores accept float or bfloat16 memory; the arithmetic is in float.
#pragma once

#include <kindred/engine/dtype.h>

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace kindred {

#ifdef __AVX2__

struct Vec8 {
  __m256 lanes;
};

inline Vec8 broadcast8(float value) {
  return {_mm256_set1_ps(value)};
}
inline Vec8 load8(const float* p) {
  return {_mm256_loadu_ps(p)};
}
inline Vec8 load8(const BFloat16* p) {
  const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(wide, 16))};
}
inline void store8(float* p, Vec8 v) {
  _mm256_storeu_ps(p, v.lanes);
}
// Rounds to nearest, ties to even. A NaN may become an infinity. It stays non-finite, and that is all that the
// checks look for.
inline void store8(BFloat16* p, Vec8 v) {
  const __m256i u = _mm256_castps_si256(v.lanes);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
  const __m256i rounded =
      _mm256_srli_epi32(_mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(rounded, rounded), 0xd8);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(packed));
}
inline Vec8 operator+(Vec8 a, Vec8 b) {
  return {_mm256_add_ps(a.lanes, b.lanes)};
}
inline Vec8 operator-(Vec8 a, Vec8 b) {
  return {_mm256_sub_ps(a.lanes, b.lanes)};
}
inline Vec8 operator*(Vec8 a, Vec8 b) {
  return {_mm256_mul_ps(a.lanes, b.lanes)};
}
// a * b + c with a single rounding.
inline Vec8 multiply_add(Vec8 a, Vec8 b, Vec8 c) {
  return {_mm256_fmadd_ps(a.lanes, b.lanes, c.lanes)};
}
// max(v, 0), but a NaN stays a NaN: it must reach the loss, where it is reported. (When one operand is a NaN,
// the instruction returns its second operand.)
inline Vec8 relu(Vec8 v) {
  return {_mm256_max_ps(_mm256_setzero_ps(), v.lanes)};
}
// Sets bit i where lane i is above zero or is a NaN. A NaN must pass the ReLU, because it is reported at the
// loss.
inline std::uint8_t positive_bits(Vec8 v) {
  return static_cast<std::uint8_t>(
      _mm256_movemask_ps(_mm256_cmp_ps(v.lanes, _mm256_setzero_ps(), _CMP_NLE_UQ)));
}
// Keeps lane i where bit i is set; the other lanes become zero.
inline Vec8 keep_bits(std::uint8_t bits, Vec8 v) {
  const __m256i one_bit_each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i chosen = _mm256_and_si256(_mm256_set1_epi32(bits), one_bit_each);
  return {_mm256_and_ps(v.lanes, _mm256_castsi256_ps(_mm256_cmpeq_epi32(chosen, one_bit_each)))};
}

#else

struct Vec8 {
  float lanes[8];
};

template <typename F>
Vec8 each_lane(F&& f) {
  Vec8 result;
  for (int i = 0; i < 8; ++i) result.lanes[i] = f(i);
  return result;
}

inline Vec8 broadcast8(float value) {
  return each_lane([&](int) { return value; });
}
template <typename T>
Vec8 load8(const T* p) {
  return each_lane([&](int i) { return static_cast<float>(p[i]); });
}
template <typename T>
void store8(T* p, Vec8 v) {
  for (int i = 0; i < 8; ++i) p[i] = T(v.lanes[i]);
}
inline Vec8 operator+(Vec8 a, Vec8 b) {
  return each_lane([&](int i) { return a.lanes[i] + b.lanes[i]; });
}
inline Vec8 operator-(Vec8 a, Vec8 b) {
  return each_lane([&](int i) { return a.lanes[i] - b.lanes[i]; });
}
inline Vec8 operator*(Vec8 a, Vec8 b) {
  return each_lane([&](int i) { return a.lanes[i] * b.lanes[i]; });
}
inline Vec8 multiply_add(Vec8 a, Vec8 b, Vec8 c) {
  return each_lane([&](int i) { return a.lanes[i] * b.lanes[i] + c.lanes[i]; });
}
inline Vec8 relu(Vec8 v) {
  return each_lane([&](int i) { return v.lanes[i] <= 0 ? 0.0f : v.lanes[i]; });
}
inline std::uint8_t positive_bits(Vec8 v) {
  int bits = 0;
  for (int i = 0; i < 8; ++i) bits |= !(v.lanes[i] <= 0) << i;
  return static_cast<std::uint8_t>(bits);
}
inline Vec8 keep_bits(std::uint8_t bits, Vec8 v) {
  return each_lane([&](int i) { return (bits >> i) & 1 ? v.lanes[i] : 0.0f; });
}

#endif

}  // namespace kindred
