#include <kindred/engine/cpu/vector_math.h>

#include <cstdint>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <kindred/engine/cpu/vector_math.cpp>
#include <hwy/foreach_target.h>  // compiles this file for the other kinds of vectors
#include <kindred/engine/cpu/vectors.h>

HWY_BEFORE_NAMESPACE();
namespace kindred::HWY_NAMESPACE {

float largest(const float* values, std::int64_t count) {
  float maximum = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : maximum)
  for (std::int64_t i = 0; i < count; ++i) maximum = values[i] > maximum ? values[i] : maximum;
  return maximum;
}

float sum_of_exponentials(const float* values, std::int64_t count, float shift) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < count; ++i) sum += fast_exp(values[i] - shift);
  return sum;
}

}  // namespace kindred::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kindred {

HWY_EXPORT(largest);
HWY_EXPORT(sum_of_exponentials);

float largest(const float* values, std::int64_t count) {
  return KINDRED_FOR_TARGET(largest)(values, count);
}

float sum_of_exponentials(const float* values, std::int64_t count, float shift) {
  return KINDRED_FOR_TARGET(sum_of_exponentials)(values, count, shift);
}

}  // namespace kindred
#endif
