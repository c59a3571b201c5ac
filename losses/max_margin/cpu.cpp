#include <kindred/engine/cpu/parallel.h>
#include <kindred/losses/max_margin/kernels.h>

#include <cmath>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <kindred/losses/max_margin/cpu.cpp>
#include <hwy/foreach_target.h>  // compiles this file for the other kinds of vectors
#include <kindred/engine/cpu/vectors.h>

HWY_BEFORE_NAMESPACE();
namespace kindred::HWY_NAMESPACE {
namespace {

// One row: returns the sum of its terms and replaces the squared distances by the derivatives, in place. A NaN
// stays a NaN.
float row_terms(float* squared, const std::int32_t* labels, std::int64_t count, std::int32_t label,
                float margin) {
  float loss = 0;
#pragma omp simd reduction(+ : loss)
  for (std::int64_t j = 0; j < count; ++j) {
    const float q = squared[j], distance = std::sqrt(q);
    const float left = margin - distance, inside = left < 0 ? 0.0f : left;
    const bool same = labels[j] == label;
    const float push = distance > 0 ? inside / (2 * distance) : 0.0f;
    loss += same ? q / 2 : inside * inside / 2;
    squared[j] = same ? 0.5f : -push;
  }
  return loss;
}

}  // namespace
}  // namespace kindred::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kindred {
namespace {

HWY_EXPORT(row_terms);

void terms(const Tensor& labels, double margin, std::int64_t first, Output distances, bool derive,
           Output losses, Output counts) {
  const std::int64_t rows = distances.dim(1);
  const std::int32_t* label = labels.data<std::int32_t>();
  const auto wide = static_cast<float>(margin);
  const auto terms_of_row = KINDRED_FOR_TARGET(row_terms);
  parallel_for(distances.dim(0), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      float* q = distances.data<float>() + i * rows;
      const std::int64_t self = first + i;
      // The columns before the row itself and those after it.
      const double loss =
          static_cast<double>(terms_of_row(q, label, self, label[self], wide)) +
          static_cast<double>(terms_of_row(q + self + 1, label + self + 1, rows - self - 1, label[self], wide));
      if (derive) q[self] = 0;
      losses.data<float>()[i] = static_cast<float>(loss);
      counts.data<float>()[i] = static_cast<float>(rows - 1);
    }
  });
}

}  // namespace

const MaxMarginKernels max_margin_cpu = {terms};

}  // namespace kindred
#endif
