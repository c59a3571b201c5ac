#include <kindred/apps/analysis/map/affinities.h>
#include <kindred/apps/analysis/map/embedding_map.h>
#include <kindred/apps/analysis/map/pca.h>
#include <kindred/apps/analysis/map/t_sne.h>
#include <kindred/apps/analysis/neighbours.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/error.h>
#include <kindred/engine/random/philox.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace kindred {
namespace {

constexpr std::int64_t reduced_dim = 50, most_dimensions = 8192;
constexpr double initial_deviation = 1e-4, noise_share = 0.01;
constexpr double no_deviation = 1e-6;  // of rows of unit length: these are rounding errors
constexpr std::int64_t iterations_between_calls = 5;

std::vector<float> reduced(std::vector<float> unit, std::int64_t& dim) {
  if (dim <= reduced_dim) return unit;
  const PrincipalComponents kept = principal_components(unit, dim, reduced_dim, Centre::origin);
  dim = reduced_dim;
  return unit_rows(kept.of(unit), dim);
}

// FAISS's cosines are floats close to 1: of near duplicates 2 - 2 cos would be rounding errors.
std::vector<double> squared_distances_of_map(const Neighbours& neighbours, std::span<const float> rows,
                                             std::int64_t dim) {
  std::vector<double> result(neighbours.rows.size());
  parallel_for(neighbours.queries(), 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t query = begin; query < end; ++query)
      for (std::int64_t k = 0; k < neighbours.each; ++k) {
        const std::int64_t other = neighbours.rows_of(query)[static_cast<std::size_t>(k)];
        double sum = 0;
        for (std::int64_t d = 0; d < dim; ++d) {
          const double difference = static_cast<double>(rows[static_cast<std::size_t>(query * dim + d)]) -
                                    static_cast<double>(rows[static_cast<std::size_t>(other * dim + d)]);
          sum += difference * difference;
        }
        result[static_cast<std::size_t>(query * neighbours.each + k)] = sum;
      }
  });
  return result;
}

// The first two components, [rows, 2]; of one dimension the second is 0.
std::vector<float> two_components(std::span<const float> unit, std::int64_t dim, double* shares) {
  const std::int64_t count = std::min<std::int64_t>(2, dim);
  const PrincipalComponents components = principal_components(unit, dim, count);
  for (std::size_t i = 0; i < components.shares.size(); ++i) shares[i] = components.shares[i];
  std::vector<float> places = components.of(unit);
  if (count == 2) return places;
  std::vector<float> padded(2 * places.size());
  for (std::size_t i = 0; i < places.size(); ++i) padded[2 * i] = places[i];
  return padded;
}

std::vector<double> initial_places(std::span<const float> rows, std::int64_t dim, std::uint64_t seed) {
  double unused[2];
  const std::vector<float> components = two_components(rows, dim, unused);
  double sum = 0;
  for (std::size_t i = 0; i < components.size(); i += 2)
    sum += static_cast<double>(components[i]) * components[i];
  const double deviation = std::sqrt(sum / static_cast<double>(components.size() / 2));
  const double scale = deviation > no_deviation ? initial_deviation / deviation : 0;
  std::vector<double> places;
  RandomStream random(seed, Purpose::initialize);
  for (const float value : components)
    places.push_back(scale * value + noise_share * initial_deviation * random.normal());
  return places;
}

void check_rows(std::int64_t rows, std::int64_t dim, MapMethod method) {
  const bool is_pca = method == MapMethod::pca;
  const std::int64_t fewest = is_pca ? fewest_for_pca : fewest_for_t_sne;
  check(
      rows >= fewest, ExitCode::data, "{}: a map by {} needs {} or more{}", counted(rows, "image"),
      is_pca ? "PCA" : "t-SNE", fewest,
      !is_pca && rows >= fewest_for_pca ? fmt::format("; --method pca draws {} or more", fewest_for_pca) : "");
  check(dim <= most_dimensions, ExitCode::data, "features of {} values: a map takes at most {}", dim,
        most_dimensions);
}

}  // namespace

EmbeddingMap map_embedding(std::span<const float> features, std::int64_t dim, const MapOptions& options) {
  const std::int64_t rows = static_cast<std::int64_t>(features.size()) / dim;
  check_rows(rows, dim, options.method);
  EmbeddingMap map;
  std::vector<float> unit = unit_rows(features, dim);
  if (options.method == MapMethod::pca) {
    map.xy = two_components(unit, dim, map.shares);
    return map;
  }
  unit = reduced(std::move(unit), dim);
  map.perplexity = std::min(options.perplexity, static_cast<double>(rows - 1) / 3);
  const auto each = std::min(rows - 1, static_cast<std::int64_t>(std::ceil(3 * map.perplexity)));
  const auto report = [&](MapStage stage, std::int64_t done, std::int64_t total) {
    if (options.progress) options.progress(stage, done, total);
  };
  const Neighbours neighbours = nearest_others(unit, dim, each, [&](std::int64_t done, std::int64_t queries) {
    report(MapStage::neighbours, done, queries);
  });
  const Affinities near =
      affinities(neighbours.rows, squared_distances_of_map(neighbours, unit, dim), each, map.perplexity);
  TSneOptions descent;
  descent.iterations = options.iterations;
  descent.fewest_on_grid = options.fewest_on_grid;
  descent.progress = [&](std::int64_t done) {
    if (done % iterations_between_calls == 0) report(MapStage::places, done, options.iterations);
  };
  TSneMap found = t_sne(near, initial_places(unit, dim, options.seed), descent);
  report(MapStage::places, options.iterations, options.iterations);
  map.xy.assign(found.places.begin(), found.places.end());
  map.divergence = found.divergence;
  return map;
}

}  // namespace kindred
