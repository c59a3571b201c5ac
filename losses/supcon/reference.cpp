// The formula, loop by loop.
#include <kindred/engine/dispatch.h>
#include <kindred/losses/supcon/kernels.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace kindred {
namespace {

template <typename T>
T logit(const SupConRows& rows, std::int64_t i, const SupConRows& columns, std::int64_t j, double temperature) {
  const std::int64_t dim = rows.features.dim(1);
  const T* a = rows.features.data<T>() + i * dim;
  const T* b = columns.features.data<T>() + j * dim;
  T sum = 0;
  for (std::int64_t d = 0; d < dim; ++d) sum += a[d] * b[d];
  return sum / static_cast<T>(temperature);
}

bool same_label(const SupConRows& rows, std::int64_t i, const SupConRows& columns, std::int64_t j) {
  return rows.labels.data<std::int32_t>()[i] == columns.labels.data<std::int32_t>()[j];
}

template <typename T>
void forward(const SupConRows& rows, const SupConRows& columns, std::int64_t row_offset, double temperature,
             const Tensor& losses) {
  const std::int64_t contrasts = columns.features.dim(0);
  for (std::int64_t i = 0; i < rows.features.dim(0); ++i) {
    const std::int64_t self = row_offset + i;
    // The self-similarity is left out before the maximum is taken: with long vectors it would dwarf all the
    // others.
    T maximum = -std::numeric_limits<T>::infinity();
    for (std::int64_t j = 0; j < contrasts; ++j)
      if (j != self) maximum = std::max(maximum, logit<T>(rows, i, columns, j, temperature));
    T denominator = 0;
    T positive_logits = 0;
    std::int32_t positives = 0;
    for (std::int64_t j = 0; j < contrasts; ++j) {
      if (j == self) continue;
      const T s = logit<T>(rows, i, columns, j, temperature);
      denominator += std::exp(s - maximum);
      if (!same_label(rows, i, columns, j)) continue;
      positive_logits += s;
      ++positives;
    }
    const T lse = maximum + std::log(denominator);
    rows.lse.data<T>()[i] = lse;
    rows.positives.data<std::int32_t>()[i] = positives;
    losses.data<T>()[i] = positives > 0 ? lse - positive_logits / static_cast<T>(positives) : T{0};
  }
}

template <typename T>
void mean(const Tensor& losses, const Tensor& positives, SupConReduction reduction, double scale,
          const Tensor& loss, const Tensor& weight) {
  double sum = 0;
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < losses.numel(); ++i) {
    sum += static_cast<double>(losses.data<T>()[i]);
    if (reduction == SupConReduction::all_anchors || positives.data<std::int32_t>()[i] > 0) ++count;
  }
  const double per_anchor = count > 0 ? scale / static_cast<double>(count) : 0.0;
  loss.data<T>()[0] = static_cast<T>(per_anchor * sum);
  weight.data<T>()[0] = static_cast<T>(per_anchor);
}

// G: the derivative of the loss of anchor i by its logit with contrast j, which is `s`.
template <typename T>
T logit_gradient(const SupConRows& anchors, std::int64_t i, T s, bool positive) {
  if (!anchors.lse.defined()) return T{0};
  const std::int32_t positives = anchors.positives.data<std::int32_t>()[i];
  if (positives == 0) return T{0};
  return std::exp(s - anchors.lse.data<T>()[i]) - (positive ? T{1} / static_cast<T>(positives) : T{0});
}

template <typename T>
void backward(const SupConRows& rows, const SupConRows& columns, std::int64_t row_offset, double temperature,
              const Tensor& upstream, const Tensor& weight, const Tensor& d_rows) {
  const std::int64_t dim = rows.features.dim(1);
  const T factor = upstream.data<T>()[0] * weight.data<T>()[0] / static_cast<T>(temperature);
  for (std::int64_t i = 0; i < rows.features.dim(0); ++i) {
    T* gradient = d_rows.data<T>() + i * dim;
    std::fill(gradient, gradient + dim, T{0});
    for (std::int64_t j = 0; j < columns.features.dim(0); ++j) {
      if (j == row_offset + i) continue;
      const T s = logit<T>(rows, i, columns, j, temperature);
      const bool positive = same_label(rows, i, columns, j);
      const T g = logit_gradient(rows, i, s, positive) + logit_gradient(columns, j, s, positive);
      const T* column = columns.features.data<T>() + j * dim;
      for (std::int64_t d = 0; d < dim; ++d) gradient[d] += factor * g * column[d];
    }
  }
}

}  // namespace

const SupConKernels supcon_reference = {
    [](const SupConRows& rows, const SupConRows& columns, std::int64_t row_offset, double temperature,
       const Tensor& losses) {
      dispatch_reference("supcon", losses.dtype(),
                         [&]<typename T>(T) { forward<T>(rows, columns, row_offset, temperature, losses); });
    },
    [](const Tensor& losses, const Tensor& positives, SupConReduction reduction, double scale,
       const Tensor& loss, const Tensor& weight) {
      dispatch_reference("supcon", losses.dtype(),
                         [&]<typename T>(T) { mean<T>(losses, positives, reduction, scale, loss, weight); });
    },
    [](const SupConRows& rows, const SupConRows& columns, std::int64_t row_offset, double temperature,
       const Tensor& upstream, const Tensor& weight, const Tensor& d_rows) {
      dispatch_reference("supcon", d_rows.dtype(), [&]<typename T>(T) {
        backward<T>(rows, columns, row_offset, temperature, upstream, weight, d_rows);
      });
    },
};

}  // namespace kindred
