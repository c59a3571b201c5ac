// What the hand-vectorised convolutions share: sixteen floats in a register.
#pragma once

#include <immintrin.h>  // defines: __m512 and _mm512_*

#include <cstdint>  // defines: std::uintptr_t

namespace kindred {

// Only functions marked so may use AVX-512: the library is built for older processors too, and
// processor_has_avx512() is asked first. Marked function by function, not by a pragma, so that no shared
// template of the standard library is caught by it.
#define KINDRED_AVX512 __attribute__((target("avx512f,avx512vl,avx512dq,fma")))

constexpr int lanes = 16;

// sum + value * factor in every lane. By hand, because compilers load a value that serves two vectors into a
// register of its own first, and a broadcast of its own costs a third of a multiply-add while one inside it is
// free.
KINDRED_AVX512 inline __m512 multiply_add(const float& value, __m512 factor, __m512 sum) {
  asm("vfmadd231ps %1%{1to16%}, %2, %0" : "+v"(sum) : "m"(value), "v"(factor));
  return sum;
}

inline bool processor_has_avx512() {
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512dq");
  return has;
}

// A result that the last cache cannot hold goes straight to memory: written the usual way, each of its lines
// would be read first.
inline bool worth_streaming(const float* y, std::int64_t floats) {
  constexpr std::int64_t more_than_cache = std::int64_t{4} << 20;  // floats
  return floats >= more_than_cache && reinterpret_cast<std::uintptr_t>(y) % 64 == 0;
}

}  // namespace kindred
