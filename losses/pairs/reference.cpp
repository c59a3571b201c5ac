#include <kindred/engine/kernels/dispatch.h>
#include <kindred/losses/pairs/kernels.h>

namespace kindred {
namespace {

template <typename T>
void distances(const Tensor& features, std::int64_t first, Output result) {
  const std::int64_t rows = features.dim(0), dim = features.dim(1);
  for (std::int64_t i = 0; i < result.dim(0); ++i)
    for (std::int64_t j = 0; j < rows; ++j) {
      T sum = 0;
      for (std::int64_t d = 0; d < dim; ++d) {
        const T apart = features.data<T>()[(first + i) * dim + d] - features.data<T>()[j * dim + d];
        sum += apart * apart;
      }
      result.data<T>()[i * rows + j] = sum;
    }
}

template <typename T>
void mean(const Tensor& losses, const Tensor& counts, Output loss, Output weight) {
  double sum = 0, count = 0;
  for (std::int64_t i = 0; i < losses.numel(); ++i) {
    sum += static_cast<double>(losses.data<T>()[i]);
    count += static_cast<double>(counts.data<T>()[i]);
  }
  loss.data<T>()[0] = count > 0 ? static_cast<T>(sum / count) : T{0};
  weight.data<T>()[0] = count > 0 ? static_cast<T>(1 / count) : T{0};
}

template <typename T>
void add_gradient(const Tensor& features, std::int64_t first, const Tensor& weights, const Tensor& upstream,
                  const Tensor& weight, Output d_features) {
  const std::int64_t rows = features.dim(0), dim = features.dim(1);
  const T factor = 2 * upstream.data<T>()[0] * weight.data<T>()[0];
  for (std::int64_t i = 0; i < weights.dim(0); ++i)
    for (std::int64_t j = 0; j < rows; ++j)
      for (std::int64_t d = 0; d < dim; ++d) {
        const T apart = features.data<T>()[(first + i) * dim + d] - features.data<T>()[j * dim + d];
        const T part = factor * weights.data<T>()[i * rows + j] * apart;
        d_features.data<T>()[(first + i) * dim + d] += part;
        d_features.data<T>()[j * dim + d] -= part;
      }
}

}  // namespace

const PairsKernels pairs_reference = {
    [](const Tensor& features, std::int64_t first, Output result) {
      dispatch_reference("pairs", features.dtype(),
                         [&]<typename T>(T) { distances<T>(features, first, result); });
    },
    [](const Tensor& losses, const Tensor& counts, Output loss, Output weight) {
      dispatch_reference("pairs", losses.dtype(),
                         [&]<typename T>(T) { mean<T>(losses, counts, loss, weight); });
    },
    [](const Tensor& features, std::int64_t first, const Tensor& weights, const Tensor& upstream,
       const Tensor& weight, Output d_features) {
      dispatch_reference("pairs", features.dtype(), [&]<typename T>(T) {
        add_gradient<T>(features, first, weights, upstream, weight, d_features);
      });
    },
};

}  // namespace kindred
