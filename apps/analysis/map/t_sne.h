// t-SNE: a map of two dimensions on which what is near in many dimensions is near (van der Maaten and Hinton 2008).
#pragma once

#include <kindred/apps/analysis/map/affinities.h>
#include <kindred/apps/analysis/map/repulsion.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace kindred {

// From so many points on, repulsion on a grid (GridRepulsion) takes less time than pair by pair.
inline constexpr std::int64_t fewest_points_on_grid = 4000;

struct TSneOptions {
  std::int64_t iterations = 750;
  // In the first iterations, at most a third of them, affinities are multiplied by this: groups find together.
  std::int64_t early_iterations = 250;
  double exaggeration = 12;
  std::int64_t fewest_on_grid = fewest_points_on_grid;
  // Called before each iteration; it may throw, for example after a signal.
  std::function<void(std::int64_t done)> progress{};
};

struct TSneMap {
  std::vector<double> places{};  // [points, 2], around 0
  double divergence =
      0;  // Kullback and Leibler's, in nats, between affinities and map; of large maps by interpolation
};

// From the initial places [points, 2] by gradient descent with momentum (0.5, later 0.8) and a gain for each coordinate. The
// learning rate is the number of points divided by the exaggeration (Belkina et al. 2019, "Automated optimized parameters for
// t-distributed stochastic neighbor embedding ..."), and no step is longer than 5. The same places for any number of threads.
// Throws Error(usage) in a build without FFTW that would need it.
TSneMap t_sne(const Affinities& affinities, std::span<const double> initial, const TSneOptions& options = {});

// The sum of p q (y - the other's place) over the affinities p of each point, q = 1 / (1 + squared distance): [points, 2]. A
// quarter of the gradient of the divergence is this, less force / normalizer of the repulsion.
void attraction(const Affinities& affinities, std::span<const double> places, std::vector<double>& result);

// The sum of p log(p / (q / normalizer)).
double divergence(const Affinities& affinities, std::span<const double> places, double normalizer);

}  // namespace kindred
