#include <kindred/apps/analysis/outliers.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>

namespace kindred {
namespace {

// Of an even number of values the mean of the two in the middle.
double median_of(std::vector<double> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*std::max_element(values.begin(), middle) + *middle) / 2;
}

double robust_scale(const std::vector<double>& distances, double median) {
  std::vector<double> deviations;
  for (const double distance : distances) deviations.push_back(std::abs(distance - median));
  // Both factors give the standard deviation where the values are of a normal distribution.
  if (const double middle = median_of(deviations); middle > 0) return 1.4826 * middle;
  return 1.2533 * std::accumulate(deviations.begin(), deviations.end(), 0.0) /
         static_cast<double>(deviations.size());
}

double distance_of(std::span<const float> similarity, OutlierScore score) {
  if (score == OutlierScore::kth) return 1 - double(similarity.back());
  return 1 -
         std::accumulate(similarity.begin(), similarity.end(), 0.0) / static_cast<double>(similarity.size());
}

}  // namespace

Outliers rank_outliers(const Neighbours& others, OutlierScore score) {
  check(others.queries() > 0, ExitCode::data, "outliers: there are no images with others near them");
  std::vector<double> distances;
  for (std::int64_t row = 0; row < others.queries(); ++row)
    distances.push_back(distance_of(others.similarity_of(row), score));
  Outliers result;
  result.median = median_of(distances);
  result.scale = robust_scale(distances, result.median);
  for (std::size_t row = 0; row < distances.size(); ++row)
    result.ranked.push_back({static_cast<std::int32_t>(row), static_cast<float>(distances[row]),
                             result.scale > 0 ? (distances[row] - result.median) / result.scale : 0});
  std::ranges::sort(result.ranked, {}, [](const Outlier& one) { return std::pair(-one.distance, one.row); });
  return result;
}

}  // namespace kindred
