#include <kindred/apps/explanation/steps.h>
#include <kindred/engine/random/philox.h>
#include <kindred/layers/linear/linear.h>  // defines: linear, here the product z z^T

#include <algorithm>
#include <cmath>
#include <limits>

namespace kindred {

Steps compute_steps(const Tensor& features, const Tensor& groups) {
  const double infinity = std::numeric_limits<double>::infinity();
  const Matrix products(linear(features, features, Tensor()));  // [M, M]
  const std::size_t count = products.rows;
  Steps steps{.groups = groups.to_vector<std::int32_t>(),
              .similarities = products,
              .maxima = std::vector<double>(count, -infinity),
              .logits = Matrix(count, count),
              .log_probabilities = Matrix(count, count),
              .losses = std::vector<double>(count)};
  for (double& value : steps.similarities.values) value /= explained_temperature;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < count; ++j)
      if (j != i) steps.maxima[i] = std::max(steps.maxima[i], steps.similarities(i, j));
    double denominator = 0;
    for (std::size_t j = 0; j < count; ++j) {
      steps.logits(i, j) = steps.similarities(i, j) - steps.maxima[i];
      if (j != i) denominator += std::exp(steps.logits(i, j));
    }
    double sum_over_positives = 0;
    for (std::size_t j = 0; j < count; ++j) {
      steps.log_probabilities(i, j) = steps.logits(i, j) - std::log(denominator);
      if (steps.positive(i, j)) sum_over_positives += steps.log_probabilities(i, j);
    }
    const auto positives = static_cast<double>(steps.positives(i));
    steps.losses[i] = positives > 0 ? -sum_over_positives / positives : 0.0;
  }
  return steps;
}

Tensor draw_features(const std::vector<int>& labels, int views) {
  std::vector<double> values;
  for (int view = 0; view < views; ++view)
    for (std::size_t image = 0; image < labels.size(); ++image) {
      const auto number = static_cast<std::uint32_t>(image);
      RandomStream of_label(1, Purpose::toy_data, 0, static_cast<std::uint32_t>(labels[image]));
      RandomStream of_image(1, Purpose::toy_data, 1, number);
      RandomStream of_view(1, Purpose::toy_data, 2, number, static_cast<std::uint32_t>(view));
      for (std::int64_t d = 0; d < explained_dim; ++d) {
        const double label = of_label.normal(), own = of_image.normal(), view_own = of_view.normal();
        values.push_back(label + 0.6 * own + 0.4 * view_own);
      }
    }
  const auto rows = static_cast<std::int64_t>(labels.size()) * views;
  return Tensor::from(values, {rows, explained_dim}, Device::reference);
}

}  // namespace kindred
