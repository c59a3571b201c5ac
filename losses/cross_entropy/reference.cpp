#include <kindred/engine/kernels/dispatch.h>
#include <kindred/losses/cross_entropy/kernels.h>

#include <algorithm>
#include <cmath>

namespace kindred {
namespace {

template <typename T>
T target(std::int64_t c, std::int32_t label, std::int64_t classes, double smoothing) {
  return static_cast<T>((c == label ? 1 - smoothing : 0.0) + smoothing / static_cast<double>(classes));
}

template <typename T>
void forward(const Tensor& logits, const Tensor& labels, double smoothing, std::int64_t mean_rows, Output lse,
             Output loss) {
  const std::int64_t rows = logits.dim(0), classes = logits.dim(1);
  double sum_of_losses = 0;
  for (std::int64_t n = 0; n < rows; ++n) {
    const T* x = logits.data<T>() + n * classes;
    const T maximum = *std::max_element(x, x + classes);
    T exponentials = 0;
    T targeted = 0;
    for (std::int64_t c = 0; c < classes; ++c) {
      exponentials += std::exp(x[c] - maximum);
      targeted += target<T>(c, labels.data<std::int32_t>()[n], classes, smoothing) * x[c];
    }
    lse.data<T>()[n] = maximum + std::log(exponentials);
    sum_of_losses += static_cast<double>(lse.data<T>()[n] - targeted);
  }
  loss.data<T>()[0] = static_cast<T>(sum_of_losses / static_cast<double>(mean_rows));
}

template <typename T>
void backward(const Tensor& logits, const Tensor& labels, double smoothing, std::int64_t mean_rows,
              const Tensor& lse, const Tensor& upstream, Output d_logits) {
  const std::int64_t rows = logits.dim(0), classes = logits.dim(1);
  const T factor = upstream.data<T>()[0] / static_cast<T>(mean_rows);
  for (std::int64_t n = 0; n < rows; ++n)
    for (std::int64_t c = 0; c < classes; ++c) {
      const T softmax = std::exp(logits.data<T>()[n * classes + c] - lse.data<T>()[n]);
      d_logits.data<T>()[n * classes + c] =
          factor * (softmax - target<T>(c, labels.data<std::int32_t>()[n], classes, smoothing));
    }
}

}  // namespace

const CrossEntropyKernels cross_entropy_reference = {
    [](const Tensor& logits, const Tensor& labels, double smoothing, std::int64_t mean_rows, Output lse,
       Output loss) {
      dispatch_reference("cross_entropy", logits.dtype(),
                         [&]<typename T>(T) { forward<T>(logits, labels, smoothing, mean_rows, lse, loss); });
    },
    [](const Tensor& logits, const Tensor& labels, double smoothing, std::int64_t mean_rows, const Tensor& lse,
       const Tensor& upstream, Output d_logits) {
      dispatch_reference("cross_entropy", logits.dtype(), [&]<typename T>(T) {
        backward<T>(logits, labels, smoothing, mean_rows, lse, upstream, d_logits);
      });
    },
};

}  // namespace kindred
