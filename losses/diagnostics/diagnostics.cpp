#include <kindred/losses/diagnostics/diagnostics.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace kindred {
namespace {

struct Moments {
  double sum = 0, squares = 0;
  std::int64_t count = 0;
  std::array<std::int64_t, cosine_bins> bins{};

  void add(double x) {
    sum += x;
    squares += x * x;
    ++count;
  }
  void add_cosine(double x) {
    add(x);
    // A value that is no number has no bin.
    if (std::isfinite(x)) ++bins[cosine_bin(x)];
  }
  Spread spread() const {
    if (count == 0) return {};
    const double mean = sum / static_cast<double>(count);
    return {mean, std::sqrt(std::max(0.0, squares / static_cast<double>(count) - mean * mean)), count, bins};
  }
};

// The eigenvalues of a symmetric matrix [n, n] by Jacobi rotations, which are short and accurate enough.
std::vector<double> eigenvalues(std::vector<double> a, std::size_t n) {
  const auto at = [&](std::size_t i, std::size_t j) -> double& { return a[i * n + j]; };
  for (int sweep = 0; sweep < 30; ++sweep) {
    double off = 0, on = 0;
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) (i == j ? on : off) += at(i, j) * at(i, j);
    if (off <= 1e-18 * on) break;
    for (std::size_t p = 0; p + 1 < n; ++p)
      for (std::size_t q = p + 1; q < n; ++q) {
        if (at(p, q) == 0) continue;
        const double theta = (at(q, q) - at(p, p)) / (2 * at(p, q));
        const double t = (theta >= 0 ? 1 : -1) / (std::abs(theta) + std::sqrt(theta * theta + 1));
        const double c = 1 / std::sqrt(t * t + 1), s = t * c;
        for (std::size_t k = 0; k < n; ++k) {
          const double x = at(k, p), y = at(k, q);
          at(k, p) = c * x - s * y;
          at(k, q) = s * x + c * y;
        }
        for (std::size_t k = 0; k < n; ++k) {
          const double x = at(p, k), y = at(q, k);
          at(p, k) = c * x - s * y;
          at(q, k) = s * x + c * y;
        }
      }
  }
  std::vector<double> values;
  for (std::size_t i = 0; i < n; ++i) values.push_back(std::max(0.0, at(i, i)));
  return values;
}

double effective_rank(std::span<const float> features, std::size_t dim) {
  std::vector<double> gram(dim * dim, 0.0);  // Z^T Z: its eigenvalues are the squared singular values of Z
  for (std::size_t row = 0; row < features.size(); row += dim)
    for (std::size_t i = 0; i < dim; ++i)
      for (std::size_t j = 0; j < dim; ++j)
        gram[i * dim + j] += static_cast<double>(features[row + i]) * static_cast<double>(features[row + j]);
  double sum = 0, entropy = 0;
  std::vector<double> singular = eigenvalues(std::move(gram), dim);
  for (double& value : singular) sum += value = std::sqrt(value);
  for (const double value : singular)
    if (value > 0) entropy -= value / sum * std::log(value / sum);
  return std::exp(entropy);
}

}  // namespace

std::size_t cosine_bin(double x) {
  return static_cast<std::size_t>(std::clamp((x + 1) / 2 * cosine_bins, 0.0, cosine_bins - 1.0));
}

double FeatureDiagnostics::mean_positives() const {
  std::int64_t sum = 0, all = 0;
  for (const auto& [positives, anchors] : anchors_by_positives) {
    sum += positives * anchors;
    all += anchors;
  }
  return all > 0 ? static_cast<double>(sum) / static_cast<double>(all) : 0;
}

std::int64_t FeatureDiagnostics::anchors_without_positives() const {
  const auto none = anchors_by_positives.find(0);
  return none == anchors_by_positives.end() ? 0 : none->second;
}

FeatureDiagnostics diagnose(std::span<const float> features, std::int64_t dim,
                            std::span<const std::int32_t> labels, std::span<const std::int64_t> images) {
  const auto width = static_cast<std::size_t>(dim), rows = labels.size();
  FeatureDiagnostics result;
  result.rows = static_cast<std::int64_t>(rows);
  Moments own, other, negative, apart;
  double exponentials = 0;
  for (std::size_t i = 0; i < rows; ++i) {
    std::int64_t positives = 0;
    for (std::size_t j = 0; j < rows; ++j) {
      if (i == j) continue;
      double product = 0;
      for (std::size_t d = 0; d < width; ++d)
        product += static_cast<double>(features[i * width + d] * features[j * width + d]);
      const double squared = std::max(0.0, 2 - 2 * product);
      exponentials += std::exp(-2 * squared);
      if (labels[i] != labels[j]) {
        negative.add_cosine(product);
        continue;
      }
      ++positives;
      (images[i] == images[j] ? own : other).add_cosine(product);
      apart.add(squared);
    }
    ++result.anchors_by_positives[positives];
  }
  if (rows > 1) result.uniformity = std::log(exponentials / static_cast<double>(rows * (rows - 1)));
  result.alignment = apart.spread().mean;
  result.own_views = own.spread();
  result.other_positives = other.spread();
  result.negatives = negative.spread();
  result.effective_rank = rows > 0 ? effective_rank(features, width) : 0;
  return result;
}

}  // namespace kindred
