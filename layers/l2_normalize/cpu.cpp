#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/kernels/dispatch.h>
#include <kindred/layers/l2_normalize/kernels.h>
#include <kindred/layers/l2_normalize/l2_normalize.h>

#include <algorithm>
#include <cmath>

namespace kindred {
namespace {

constexpr std::int64_t grain = 16384;  // elements: starting a thread does not pay for fewer

template <typename T>
void forward(const Tensor& x, Output y, Output length) {
  const std::int64_t dim = x.dim(1);
  const T* input = x.data<T>();
  float* output = y.data<float>();
  float* lengths = length.data<float>();
  parallel_for(x.dim(0), grain / std::max<std::int64_t>(1, dim) + 1, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t m = begin; m < end; ++m) {
      // In double, squares of floats can neither overflow nor underflow.
      double squares = 0;
#pragma omp simd reduction(+ : squares)
      for (std::int64_t d = 0; d < dim; ++d) {
        const double value = float(input[m * dim + d]);
        squares += value * value;
      }
      const double norm = std::sqrt(squares);
      const double inverse = 1 / std::max(norm, l2_normalize_shortest);
      lengths[m] = static_cast<float>(norm);
      for (std::int64_t d = 0; d < dim; ++d)
        output[m * dim + d] = static_cast<float>(double{float(input[m * dim + d])} * inverse);
    }
  });
}

template <typename T>
void backward(const Tensor& y, const Tensor& length, const Tensor& dy, Output dx) {
  const std::int64_t dim = y.dim(1);
  const float* output = y.data<float>();
  const float* lengths = length.data<float>();
  const float* gradient = dy.data<float>();
  T* result = dx.data<T>();
  parallel_for(y.dim(0), grain / std::max<std::int64_t>(1, dim) + 1, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t m = begin; m < end; ++m) {
      double along_sum = 0;
#pragma omp simd reduction(+ : along_sum)
      for (std::int64_t d = 0; d < dim; ++d)
        along_sum += static_cast<double>(output[m * dim + d]) * gradient[m * dim + d];
      const auto along = static_cast<float>(along_sum);
      const float inverse = lengths[m] <= l2_normalize_shortest ? 0.0f : 1 / lengths[m];
      for (std::int64_t d = 0; d < dim; ++d)
        result[m * dim + d] = T((gradient[m * dim + d] - output[m * dim + d] * along) * inverse);
    }
  });
}

}  // namespace

const L2NormalizeKernels l2_normalize_cpu = {
    [](const Tensor& x, Output y, Output length) {
      dispatch_cpu("l2_normalize", x.dtype(), [&]<typename T>(T) { forward<T>(x, y, length); });
    },
    [](const Tensor& y, const Tensor& length, const Tensor& dy, Output dx) {
      dispatch_cpu("l2_normalize", dx.dtype(), [&]<typename T>(T) { backward<T>(y, length, dy, dx); });
    },
};

}  // namespace kindred
