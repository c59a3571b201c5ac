// Vectors of floats for the kernels of the CPU, by Google Highway: one source for AVX2, AVX-512, NEON, and machines without
// vectors. What a kernel may use is in namespace `hn` (https://google.github.io/highway).
//
// A source that includes this file is compiled once for each kind of vectors, in a namespace of its own, HWY_NAMESPACE.
// It looks like this:
//
//     #undef HWY_TARGET_INCLUDE
//     #define HWY_TARGET_INCLUDE <kindred/layers/some/source.cpp>
//     #include <hwy/foreach_target.h>  // compiles this file for the other kinds
//     #include <kindred/engine/cpu/vectors.h>
//     HWY_BEFORE_NAMESPACE();
//     namespace kindred::HWY_NAMESPACE { ... }
//     HWY_AFTER_NAMESPACE();
//     #if HWY_ONCE
//     ... HWY_EXPORT(function); KINDRED_FOR_TARGET(function)(arguments);
//     #endif
//
// Headers are included before foreach_target.h, or the code of the standard library would be compiled for one kind of
// processor and used by all. A lambda in a template carries HWY_ATTR if it works on vectors.

#ifndef KINDRED_ENGINE_CPU_VECTORS_ONCE
#define KINDRED_ENGINE_CPU_VECTORS_ONCE
#include <kindred/engine/cpu/targets.h>

#include <hwy/cache_control.h>  // defines: hwy::FlushStream

#include <cstddef>

// The function `exported` (HWY_EXPORT) for this machine's vectors.
#define KINDRED_FOR_TARGET(exported) ((void)::kindred::cpu_target(), HWY_DYNAMIC_DISPATCH(exported))
#endif

#if defined(KINDRED_ENGINE_CPU_VECTORS_TARGET) == defined(HWY_TARGET_TOGGLE)
#ifdef KINDRED_ENGINE_CPU_VECTORS_TARGET
#undef KINDRED_ENGINE_CPU_VECTORS_TARGET
#else
#define KINDRED_ENGINE_CPU_VECTORS_TARGET
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kindred::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Vector = hn::Vec<Floats>;
constexpr Floats floats;
constexpr int lanes = static_cast<int>(hn::MaxLanes(floats));
constexpr bool has_vectors = HWY_TARGET != HWY_SCALAR;
// Processors with AVX-512 or NEON have 32 registers, those with AVX2 have 16.
constexpr int registers = HWY_TARGET == HWY_AVX2 ? 16 : 32;

HWY_INLINE Vector load(const float* from) {
  return hn::LoadU(floats, from);
}
HWY_INLINE void store(float* to, Vector value) {
  hn::StoreU(value, floats, to);
}
HWY_INLINE Vector zero() {
  return hn::Zero(floats);
}
HWY_INLINE Vector broadcast(float value) {
  return hn::Set(floats, value);
}

// sum + value * factor in every lane.
HWY_INLINE Vector multiply_add(const float& value, Vector factor, Vector sum) {
#if HWY_TARGET == HWY_AVX3
  // Written by hand, because compilers first load a value that serves two vectors into a register of its own. A separate
  // broadcast costs a third of a multiply-add, while a broadcast within the multiply-add is free.
  asm("vfmadd231ps %1%{1to16%}, %2, %0" : "+v"(sum.raw) : "m"(value), "v"(factor.raw));
  return sum;
#else
  return hn::MulAdd(broadcast(value), factor, sum);
#endif
}

// to[j][i] = from[i][j] of `lanes` lines of as many floats, from_step and to_step apart.
HWY_INLINE void transpose(const float* from, std::ptrdiff_t from_step, float* to, std::ptrdiff_t to_step) {
#if HWY_TARGET == HWY_SCALAR
  (void)from_step, (void)to_step;
  *to = *from;
#else
  // Four by four floats at a time: that needs nothing but vectors of four, which all kinds have.
  constexpr hn::FixedTag<float, 4> four;
  constexpr hn::Repartition<double, decltype(four)> pairs;
  for (int i = 0; i < lanes; i += 4)
    for (int j = 0; j < lanes; j += 4) {
      const float* block = from + i * from_step + j;
      const auto a = hn::LoadU(four, block), b = hn::LoadU(four, block + from_step);
      const auto c = hn::LoadU(four, block + 2 * from_step), d = hn::LoadU(four, block + 3 * from_step);
      const auto ab = hn::BitCast(pairs, hn::InterleaveLower(four, a, b));
      const auto cd = hn::BitCast(pairs, hn::InterleaveLower(four, c, d));
      const auto ab_end = hn::BitCast(pairs, hn::InterleaveUpper(four, a, b));
      const auto cd_end = hn::BitCast(pairs, hn::InterleaveUpper(four, c, d));
      float* result = to + j * to_step + i;
      hn::StoreU(hn::BitCast(four, hn::InterleaveLower(pairs, ab, cd)), four, result);
      hn::StoreU(hn::BitCast(four, hn::InterleaveUpper(pairs, ab, cd)), four, result + to_step);
      hn::StoreU(hn::BitCast(four, hn::InterleaveLower(pairs, ab_end, cd_end)), four, result + 2 * to_step);
      hn::StoreU(hn::BitCast(four, hn::InterleaveUpper(pairs, ab_end, cd_end)), four, result + 3 * to_step);
    }
#endif
}

}  // namespace kindred::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
