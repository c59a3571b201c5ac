// What the hand-vectorised convolutions share: operations on sixteen floats in a register.
#pragma once

#include <immintrin.h>  // defines: __m512 and _mm512_*

#include <cstddef>
#include <cstdint>  // defines: std::uintptr_t

namespace kindred {

// Only functions with this mark may use AVX-512, because the library is also built for older processors.
// Callers check processor_has_avx512() first. Each function is marked by itself, and no pragma is used, so that
// shared templates of the standard library are not compiled for AVX-512 by accident.
#define KINDRED_AVX512 __attribute__((target("avx512f,avx512vl,avx512dq,fma")))

constexpr int lanes = 16;

// sum + value * factor in every lane. Written by hand, because compilers first load a value that serves two
// vectors into a register of its own. A separate broadcast costs a third of a multiply-add, while a broadcast
// within the multiply-add is free.
KINDRED_AVX512 inline __m512 multiply_add(const float& value, __m512 factor, __m512 sum) {
  asm("vfmadd231ps %1%{1to16%}, %2, %0" : "+v"(sum) : "m"(value), "v"(factor));
  return sum;
}

// Masks of all lanes. Without them GCC 12 warns of operands that it leaves undefined itself.
constexpr __mmask16 all_lanes = 0xffff;
constexpr __mmask8 all_pairs = 0xff;

// Of each block of four floats the first two of both, and the last two.
KINDRED_AVX512 inline __m512 low_pairs(__m512 a, __m512 b) {
  return _mm512_castpd_ps(_mm512_maskz_unpacklo_pd(all_pairs, _mm512_castps_pd(a), _mm512_castps_pd(b)));
}
KINDRED_AVX512 inline __m512 high_pairs(__m512 a, __m512 b) {
  return _mm512_castpd_ps(_mm512_maskz_unpackhi_pd(all_pairs, _mm512_castps_pd(a), _mm512_castps_pd(b)));
}

// to[j][i] = from[i][j] of sixteen lines of sixteen floats, from_step and to_step apart.
KINDRED_AVX512 inline void transpose(const float* from, std::ptrdiff_t from_step, float* to,
                                     std::ptrdiff_t to_step) {
  __m512 r[lanes], t[lanes];
#pragma GCC unroll 16
  for (int i = 0; i < lanes; ++i) r[i] = _mm512_loadu_ps(from + i * from_step);
#pragma GCC unroll 8
  for (int i = 0; i < lanes; i += 2) {
    t[i] = _mm512_maskz_unpacklo_ps(all_lanes, r[i], r[i + 1]);
    t[i + 1] = _mm512_maskz_unpackhi_ps(all_lanes, r[i], r[i + 1]);
  }
  // Block b (of four floats) of r[4 g + j] is then column 4 b + j of the lines 4 g to 4 g + 3.
#pragma GCC unroll 4
  for (int g = 0; g < lanes; g += 4) {
    r[g] = low_pairs(t[g], t[g + 2]);
    r[g + 1] = high_pairs(t[g], t[g + 2]);
    r[g + 2] = low_pairs(t[g + 1], t[g + 3]);
    r[g + 3] = high_pairs(t[g + 1], t[g + 3]);
  }
  constexpr int even = 0x88, odd = 0xdd;  // blocks of both operands
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m512 first_even = _mm512_maskz_shuffle_f32x4(all_lanes, r[j], r[4 + j], even);
    const __m512 first_odd = _mm512_maskz_shuffle_f32x4(all_lanes, r[j], r[4 + j], odd);
    const __m512 last_even = _mm512_maskz_shuffle_f32x4(all_lanes, r[8 + j], r[12 + j], even);
    const __m512 last_odd = _mm512_maskz_shuffle_f32x4(all_lanes, r[8 + j], r[12 + j], odd);
    t[j] = _mm512_maskz_shuffle_f32x4(all_lanes, first_even, last_even, even);
    t[8 + j] = _mm512_maskz_shuffle_f32x4(all_lanes, first_even, last_even, odd);
    t[4 + j] = _mm512_maskz_shuffle_f32x4(all_lanes, first_odd, last_odd, even);
    t[12 + j] = _mm512_maskz_shuffle_f32x4(all_lanes, first_odd, last_odd, odd);
  }
#pragma GCC unroll 16
  for (int i = 0; i < lanes; ++i) _mm512_storeu_ps(to + i * to_step, t[i]);
}

inline bool processor_has_avx512() {
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512dq");
  return has;
}

// Returns true if a result is larger than the last-level cache. Such a result is written straight to memory:
// normal stores would first read each of its cache lines.
inline bool worth_streaming(const float* y, std::int64_t floats) {
  constexpr std::int64_t more_than_cache = std::int64_t{4} << 20;  // floats
  return floats >= more_than_cache && reinterpret_cast<std::uintptr_t>(y) % 64 == 0;
}

}  // namespace kindred
