#include <kindred/apps/analysis/map/t_sne.h>
#include <kindred/engine/cpu/parallel.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace kindred {
namespace {

constexpr std::int64_t few_points = 256;
constexpr double early_momentum = 0.5, late_momentum = 0.8, longest_step = 5;
constexpr double gain_added = 0.2, gain_factor = 0.8, least_gain = 0.01;

void repel(std::span<const double> places, std::int64_t fewest_on_grid, GridRepulsion& grid, Repulsion& result) {
  if (static_cast<std::int64_t>(places.size() / 2) < fewest_on_grid)
    exact_repulsion(places, result);
  else
    grid(places, result);
}

class Descent {
 public:
  explicit Descent(std::span<const double> initial)
      : places_(initial.begin(), initial.end()), steps_(initial.size()), gains_(initial.size(), 1.0) {}

  const std::vector<double>& places() const { return places_; }

  // Both are sums that attraction() and repel() make, of the places as they are.
  void step(const std::vector<double>& pull, const Repulsion& push, double exaggeration, double momentum) {
    const auto points = static_cast<std::int64_t>(places_.size() / 2);
    const double rate = static_cast<double>(points) / exaggeration;
    const double share = push.normalizer > 0 ? 1 / push.normalizer : 0;
    parallel_for(points, few_points, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t p = begin; p < end; ++p) {
        const auto first = static_cast<std::size_t>(2 * p);
        for (std::size_t i = first; i < first + 2; ++i) {
          const double gradient = exaggeration * pull[i] - share * push.force[i];
          // A step against the gradient goes on in its direction, and may grow.
          const bool goes_on = (gradient > 0) != (steps_[i] > 0);
          gains_[i] = goes_on ? gains_[i] + gain_added : std::max(least_gain, gains_[i] * gain_factor);
          steps_[i] = momentum * steps_[i] - rate * gains_[i] * gradient;
        }
        const double length = std::hypot(steps_[first], steps_[first + 1]);
        if (length > longest_step)
          for (std::size_t i = first; i < first + 2; ++i) steps_[i] *= longest_step / length;
        for (std::size_t i = first; i < first + 2; ++i) places_[i] += steps_[i];
      }
    });
    centre();
  }

 private:
  void centre() {
    double mean[2] = {};
    for (std::size_t i = 0; i < places_.size(); ++i) mean[i % 2] += places_[i];
    for (double& value : mean) value /= static_cast<double>(places_.size() / 2);
    for (std::size_t i = 0; i < places_.size(); ++i) places_[i] -= mean[i % 2];
  }

  std::vector<double> places_, steps_, gains_;  // [points, 2]
};

}  // namespace

void attraction(const Affinities& affinities, std::span<const double> places, std::vector<double>& result) {
  result.resize(places.size());
  parallel_for(affinities.rows(), few_points, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const auto i = static_cast<std::size_t>(row);
      const double x = places[2 * i], y = places[2 * i + 1];
      double sum_x = 0, sum_y = 0;
      for (auto k = static_cast<std::size_t>(affinities.begin[i]);
           k < static_cast<std::size_t>(affinities.begin[i + 1]); ++k) {
        const auto other = static_cast<std::size_t>(affinities.other[k]);
        const double dx = x - places[2 * other], dy = y - places[2 * other + 1];
        const double pull = affinities.value[k] / (1 + dx * dx + dy * dy);
        sum_x += pull * dx;
        sum_y += pull * dy;
      }
      result[2 * i] = sum_x;
      result[2 * i + 1] = sum_y;
    }
  });
}

double divergence(const Affinities& affinities, std::span<const double> places, double normalizer) {
  std::vector<double> sums(static_cast<std::size_t>(affinities.rows()));
  parallel_for(affinities.rows(), few_points, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const auto i = static_cast<std::size_t>(row);
      for (auto k = static_cast<std::size_t>(affinities.begin[i]);
           k < static_cast<std::size_t>(affinities.begin[i + 1]); ++k) {
        const auto other = static_cast<std::size_t>(affinities.other[k]);
        const double dx = places[2 * i] - places[2 * other], dy = places[2 * i + 1] - places[2 * other + 1];
        const double p = affinities.value[k];
        if (p > 0) sums[i] += p * std::log(p * normalizer * (1 + dx * dx + dy * dy));
      }
    }
  });
  double sum = 0;
  for (const double of_row : sums) sum += of_row;
  return sum;
}

TSneMap t_sne(const Affinities& affinities, std::span<const double> initial, const TSneOptions& options) {
  const std::int64_t early = std::min(options.early_iterations, options.iterations / 3);
  Descent descent(initial);
  GridRepulsion grid;
  Repulsion push;
  std::vector<double> pull;
  for (std::int64_t done = 0; done < options.iterations; ++done) {
    if (options.progress) options.progress(done);
    attraction(affinities, descent.places(), pull);
    repel(descent.places(), options.fewest_on_grid, grid, push);
    const bool is_early = done < early;
    descent.step(pull, push, is_early ? options.exaggeration : 1, is_early ? early_momentum : late_momentum);
  }
  repel(descent.places(), options.fewest_on_grid, grid, push);
  return {descent.places(), divergence(affinities, descent.places(), push.normalizer)};
}

}  // namespace kindred
