// What the hand-vectorised convolutions share: operations on sixteen floats in a register.
#pragma once

#include <immintrin.h>  // defines: __m512 and _mm512_*

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
