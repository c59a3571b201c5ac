// t-SNE: its gradient, and the maps that it makes.
#include "../../../errors.h"
#include "clusters.h"

#include <doctest/doctest.h>
#include <kindred/apps/analysis/map/embedding_map.h>
#include <kindred/apps/analysis/map/t_sne.h>
#include <kindred/third_party/faiss/faiss.h>
#include <kindred/third_party/fftw/fftw.h>

#include <cmath>
#include <cstddef>

namespace kindred {
namespace {

bool can_map() {
  const bool can = third_party::has_faiss() && fftw::is_available();
  if (!can) MESSAGE("skipped: this build has no FAISS or no FFTW");
  return can;
}

Affinities some_affinities(std::int64_t rows, std::int64_t each) {
  RandomStream random(11, Purpose::test);
  std::vector<std::int32_t> neighbours;
  std::vector<double> distances;
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t k = 1; k <= each; ++k) {
      neighbours.push_back(static_cast<std::int32_t>((r + 3 * k) % rows));
      distances.push_back(random.uniform(0.1f, 1));
    }
  return affinities(neighbours, distances, each, 3);
}

double exact_divergence(const Affinities& near, const std::vector<double>& places) {
  double normalizer = 0;
  for (std::size_t i = 0; i < places.size(); i += 2)
    for (std::size_t j = 0; j < places.size(); j += 2)
      if (i != j) normalizer += 1 / (1 + std::pow(places[i] - places[j], 2) + std::pow(places[i + 1] - places[j + 1], 2));
  return divergence(near, places, normalizer);
}

EmbeddingMap map_by(const std::vector<float>& rows, std::int64_t dim, const MapOptions& options = {}) {
  return map_embedding(rows, dim, options);
}

bool all_finite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
}

TEST_CASE("t-SNE's gradient is the central difference of the divergence") {
  constexpr std::int64_t points = 31;
  const Affinities near = some_affinities(points, 7);
  RandomStream random(12, Purpose::test);
  std::vector<double> places;
  for (std::int64_t i = 0; i < 2 * points; ++i) places.push_back(2 * random.normal());
  std::vector<double> pull;
  Repulsion push;
  attraction(near, places, pull);
  exact_repulsion(places, push);
  double largest = 0;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const double gradient = 4 * (pull[i] - push.force[i] / push.normalizer), step = 1e-5, at = places[i];
    places[i] = at + step;
    const double above = exact_divergence(near, places);
    places[i] = at - step;
    const double below = exact_divergence(near, places);
    places[i] = at;
    CHECK(gradient == doctest::Approx((above - below) / (2 * step)).epsilon(1e-5));
    largest = std::max(largest, std::abs(gradient));
  }
  CHECK(largest > 1e-3);
}

TEST_CASE("t-SNE makes the divergence smaller, and what its callback throws comes out") {
  constexpr std::int64_t points = 80;
  const Affinities near = some_affinities(points, 9);
  RandomStream random(13, Purpose::test);
  std::vector<double> initial;
  for (std::int64_t i = 0; i < 2 * points; ++i) initial.push_back(1e-4 * random.normal());
  TSneOptions options;
  options.iterations = 300;
  std::int64_t calls = 0;
  options.progress = [&](std::int64_t done) { CHECK(done == calls++); };
  const TSneMap map = t_sne(near, initial, options);
  CHECK(calls == 300);
  CHECK(map.divergence == doctest::Approx(exact_divergence(near, map.places)));
  CHECK(map.divergence < 0.7 * exact_divergence(near, initial));
  options.progress = [](std::int64_t done) { check(done < 20, ExitCode::interrupted, "stopped"); };
  CHECK(test::code_of([&] { t_sne(near, initial, options); }) == ExitCode::interrupted);
}

TEST_CASE("a map of clusters keeps neighbours, and better than principal components do") {
  if (!can_map()) return;
  // Repulsion is pair by pair, and on a grid; more than 50 dimensions are reduced.
  struct Case {
    std::int64_t rows, dim;
  };
  for (const auto& [rows, dim] : {Case{500, 20}, Case{1100, 70}}) {
    CAPTURE(rows);
    const std::vector<float> features = test::draw_clusters(rows, dim, 15, 0.6f);
    MapOptions options;
    options.fewest_on_grid = 1000;
    const EmbeddingMap map = map_by(features, dim, options);
    CHECK(map.perplexity == 30);
    REQUIRE(std::ssize(map.xy) == 2 * rows);
    const double of_map = test::trustworthiness(features, dim, map.xy, 10);
    MapOptions plain;
    plain.method = MapMethod::pca;
    const EmbeddingMap components = map_by(features, dim, plain);
    const double of_components = test::trustworthiness(features, dim, components.xy, 10);
    CHECK(of_map > 0.95);
    CHECK(of_map > of_components + 0.05);
    CHECK(components.shares[0] >= components.shares[1]);
    CHECK(components.shares[1] > 0);
    CHECK(components.shares[0] + components.shares[1] < 1);
  }
}

TEST_CASE("a map has the same bytes for any number of threads, and others for another seed") {
  if (!can_map()) return;
  const test::KeepThreads keep;
  for (const std::int64_t rows : {200, 1050}) {
    const std::vector<float> features = test::draw_clusters(rows, 60, 6, 0.8f);
    MapOptions options;
    options.iterations = 80;
    options.fewest_on_grid = 1000;
    options.seed = 4;
    std::vector<float> first;
    for (const int threads : {1, 2, 3}) {
      set_compute_threads(threads);
      const EmbeddingMap map = map_by(features, 60, options);
      if (threads == 1) first = map.xy;
      CHECK(map.xy == first);
    }
    options.seed = 5;
    CHECK(map_by(features, 60, options).xy != first);
  }
}

TEST_CASE("maps of equal images, of zeros and of few images are finite") {
  if (!can_map()) return;
  MapOptions options;
  options.iterations = 60;
  options.fewest_on_grid = 1000;
  for (const std::size_t rows : {4u, 40u, 1030u})
    for (const float value : {0.0f, 0.3f})
      for (const MapMethod method : {MapMethod::t_sne, MapMethod::pca}) {
        options.method = method;
        const EmbeddingMap map = map_by(std::vector<float>(rows * 3, value), 3, options);
        CHECK(map.xy.size() == 2 * rows);
        CHECK(all_finite(map.xy));
      }
  options.method = MapMethod::t_sne;
  // One dimension: the rows are 1 or -1, or 0.
  const EmbeddingMap line = map_by(test::draw_clusters(30, 1, 5, 0.1f), 1, options);
  CHECK(all_finite(line.xy));
  // Of ten images each has nine neighbours, and so a perplexity of 3.
  const EmbeddingMap few = map_by(test::draw_clusters(10, 6, 2, 0.3f), 6, options);
  CHECK(few.perplexity == 3);
  CHECK(all_finite(few.xy));
  CHECK(*std::max_element(few.xy.begin(), few.xy.end()) > 1e-3f);
}

TEST_CASE("a map of fewer images than it needs is refused") {
  for (const std::size_t rows : {1u, 2u, 3u}) {
    CHECK(test::code_of([&] { map_by(std::vector<float>(rows * 2, 1.0f), 2); }) == ExitCode::data);
    MapOptions plain;
    plain.method = MapMethod::pca;
    const auto code = test::code_of([&] { map_by(std::vector<float>(rows * 2, 1.0f), 2, plain); });
    CHECK(code == (rows < 2 ? ExitCode::data : ExitCode::ok));
  }
  CHECK(test::error_of([] { map_by({1, 0, 0, 1, 1, 1}, 2); }).find("--method pca") != std::string::npos);
}

TEST_CASE("a signal's error comes out of the map, whichever stage it is in") {
  if (!can_map()) return;
  const std::vector<float> features = test::draw_clusters(60, 4, 3, 0.3f);
  for (const MapStage where : {MapStage::neighbours, MapStage::places}) {
    MapOptions options;
    options.progress = [&](MapStage stage, std::int64_t, std::int64_t) {
      check(stage != where, ExitCode::interrupted, "SIGINT");
    };
    CHECK(test::code_of([&] { map_by(features, 4, options); }) == ExitCode::interrupted);
  }
}

}  // namespace
}  // namespace kindred
