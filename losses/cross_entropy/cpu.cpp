// Processes one row of logits at a time, converted to floats, so that the loops over classes become vector
// code.
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/cpu/vector_math.h>
#include <kindred/engine/kernels/dispatch.h>
#include <kindred/losses/cross_entropy/kernels.h>

#include <algorithm>
#include <cmath>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <kindred/losses/cross_entropy/cpu.cpp>
#include <hwy/foreach_target.h>  // compiles this file for the other kinds of vectors
#include <kindred/engine/cpu/vectors.h>

HWY_BEFORE_NAMESPACE();
namespace kindred::HWY_NAMESPACE {
namespace {

void logits_to_gradients(float* row, std::int64_t classes, float lse, float target_of_others, float factor) {
  for (std::int64_t c = 0; c < classes; ++c) row[c] = factor * (fast_exp(row[c] - lse) - target_of_others);
}

}  // namespace
}  // namespace kindred::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kindred {
namespace {

HWY_EXPORT(logits_to_gradients);

// Calls body(n, row): row[C] holds the logits of row n as floats and may be written to.
template <typename T, typename Body>
void for_each_row(const Tensor& logits, Body&& body) {
  constexpr std::int64_t grain = 4096;  // elements: starting a thread does not pay for fewer
  const std::int64_t classes = logits.dim(1);
  const T* input = logits.data<T>();
  parallel_for(logits.dim(0), grain / classes + 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> row(static_cast<std::size_t>(classes));
    for (std::int64_t n = begin; n < end; ++n) {
      std::copy(input + n * classes, input + (n + 1) * classes, row.begin());
      body(n, row.data());
    }
  });
}

template <typename T>
void forward(const Tensor& logits, const Tensor& labels, double smoothing, std::int64_t mean_rows, Output lse,
             Output loss) {
  const std::int64_t rows = logits.dim(0), classes = logits.dim(1);
  std::vector<double> losses(static_cast<std::size_t>(rows));
  for_each_row<T>(logits, [&](std::int64_t n, const float* row) {
    const float maximum = largest(row, classes);
    const double log_sum = maximum + std::log(static_cast<double>(sum_of_exponentials(row, classes, maximum)));
    double sum = 0;
    for (std::int64_t c = 0; c < classes; ++c) sum += row[c];
    lse.data<float>()[n] = static_cast<float>(log_sum);
    losses[static_cast<std::size_t>(n)] = log_sum - (1 - smoothing) * row[labels.data<std::int32_t>()[n]] -
                                          smoothing / static_cast<double>(classes) * sum;
  });
  double total = 0;  // summed in row order, for any number of threads
  for (const double value : losses) total += value;
  loss.data<float>()[0] = static_cast<float>(total / static_cast<double>(mean_rows));
}

template <typename T>
void backward(const Tensor& logits, const Tensor& labels, double smoothing, std::int64_t mean_rows,
              const Tensor& lse, const Tensor& upstream, Output d_logits) {
  const std::int64_t classes = logits.dim(1);
  const float factor = upstream.data<float>()[0] / static_cast<float>(mean_rows);
  const auto target_of_others = static_cast<float>(smoothing / static_cast<double>(classes));
  const auto to_gradients = KINDRED_FOR_TARGET(logits_to_gradients);
  for_each_row<T>(logits, [&](std::int64_t n, float* row) {
    to_gradients(row, classes, lse.data<float>()[n], target_of_others, factor);
    row[labels.data<std::int32_t>()[n]] -= factor * static_cast<float>(1 - smoothing);
    T* result = d_logits.data<T>() + n * classes;
    for (std::int64_t c = 0; c < classes; ++c) result[c] = T(row[c]);
  });
}

}  // namespace

const CrossEntropyKernels cross_entropy_cpu = {
    [](const Tensor& logits, const Tensor& labels, double smoothing, std::int64_t mean_rows, Output lse,
       Output loss) {
      dispatch_cpu("cross_entropy", logits.dtype(),
                   [&]<typename T>(T) { forward<T>(logits, labels, smoothing, mean_rows, lse, loss); });
    },
    [](const Tensor& logits, const Tensor& labels, double smoothing, std::int64_t mean_rows, const Tensor& lse,
       const Tensor& upstream, Output d_logits) {
      dispatch_cpu("cross_entropy", logits.dtype(), [&]<typename T>(T) {
        backward<T>(logits, labels, smoothing, mean_rows, lse, upstream, d_logits);
      });
    },
};

}  // namespace kindred
#endif
