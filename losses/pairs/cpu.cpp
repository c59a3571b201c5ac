// The distances need one matrix product, |a|^2 + |b|^2 - 2 a.b; the gradient needs two.
#include <kindred/engine/cpu/parallel.h>
#include <kindred/losses/pairs/kernels.h>
#include <kindred/third_party/onednn/onednn.h>

#include <algorithm>
#include <vector>

namespace kindred {
namespace {

std::vector<float> squared_lengths(const Tensor& features) {
  const std::int64_t dim = features.dim(1);
  std::vector<float> lengths(static_cast<std::size_t>(features.dim(0)));
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const float* row = features.data<float>() + static_cast<std::int64_t>(i) * dim;
    double sum = 0;
    for (std::int64_t d = 0; d < dim; ++d) sum += static_cast<double>(row[d]) * row[d];
    lengths[i] = static_cast<float>(sum);
  }
  return lengths;
}

void distances(const Tensor& features, std::int64_t first, Output result) {
  const std::int64_t rows = features.dim(0), dim = features.dim(1), count = result.dim(0);
  const std::vector<float> lengths = squared_lengths(features);
  onednn::sgemm({.m = count, .n = rows, .k = dim, .transpose_b = true}, features.data<float>() + first * dim,
                features.data<float>(), result.data<float>(), {.product = -2});
  parallel_for(count, 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      float* row = result.data<float>() + i * rows;
      const float own = lengths[static_cast<std::size_t>(first + i)];
      for (std::int64_t j = 0; j < rows; ++j) {
        const float distance = row[j] + (own + lengths[static_cast<std::size_t>(j)]);
        row[j] = distance < 0 ? 0 : distance;  // a NaN stays one
      }
    }
  });
}

void add_gradient(const Tensor& features, std::int64_t first, const Tensor& weights, const Tensor& upstream,
                  const Tensor& weight, Output d_features) {
  const std::int64_t rows = features.dim(0), dim = features.dim(1), count = weights.dim(0);
  const float factor = 2 * upstream.data<float>()[0] * weight.data<float>()[0];
  const float* z = features.data<float>();
  const float* w = weights.data<float>();
  std::vector<double> pulls(static_cast<std::size_t>(rows));  // for row j, the sum over i of W_ij + W_ji
  for (std::int64_t i = 0; i < count; ++i)
    for (std::int64_t j = 0; j < rows; ++j) {
      const double value = w[i * rows + j];
      pulls[static_cast<std::size_t>(first + i)] += value;
      pulls[static_cast<std::size_t>(j)] += value;
    }
  float* d = d_features.data<float>();
  const onednn::Scales added{.product = -factor, .before = 1};
  onednn::sgemm({.m = count, .n = dim, .k = rows}, w, z, d + first * dim, added);
  onednn::sgemm({.m = rows, .n = dim, .k = count, .transpose_a = true}, w, z + first * dim, d, added);
  for (std::int64_t j = 0; j < rows; ++j) {
    const float pull = factor * static_cast<float>(pulls[static_cast<std::size_t>(j)]);
    for (std::int64_t e = 0; e < dim; ++e) d[j * dim + e] += pull * z[j * dim + e];
  }
}

}  // namespace

const PairsKernels pairs_cpu = {
    distances,
    [](const Tensor& losses, const Tensor& counts, Output loss, Output weight) {
      pairs_reference.mean(losses, counts, loss, weight);  // short, so the plain loops serve
    },
    add_gradient,
};

}  // namespace kindred
