#include <kindred/engine/cpu/vector_math.h>

#include <limits>

namespace kindred {

KINDRED_VECTOR_CLONES
float largest(const float* values, std::int64_t count) {
  float maximum = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : maximum)
  for (std::int64_t i = 0; i < count; ++i) maximum = values[i] > maximum ? values[i] : maximum;
  return maximum;
}

KINDRED_VECTOR_CLONES
float sum_of_exponentials(const float* values, std::int64_t count, float shift) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < count; ++i) sum += fast_exp(values[i] - shift);
  return sum;
}

}  // namespace kindred
