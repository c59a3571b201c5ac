// t-SNE's affinities: the perplexity that was asked for, and a symmetric matrix as plain loops make it.
#include "clusters.h"

#include <doctest/doctest.h>
#include <kindred/apps/analysis/map/affinities.h>

#include <cmath>
#include <cstddef>

namespace kindred {
namespace {

double perplexity_of(const std::vector<double>& p) {
  double entropy = 0;
  for (const double value : p)
    if (value > 0) entropy -= value * std::log(value);
  return std::exp(entropy);
}

TEST_CASE("affinities have the perplexity that is asked for, whatever the unit of distances") {
  RandomStream random(5, Purpose::test);
  for (const double scale : {1e-9, 1.0, 1e6})
    for (const double perplexity : {1.5, 5.0, 30.0, 60.0}) {
      CAPTURE(scale);
      CAPTURE(perplexity);
      std::vector<double> distances;
      for (int i = 0; i < 90; ++i) distances.push_back(scale * (1 + 0.2 * random.uniform()));
      const std::vector<double> p = row_affinities(distances, perplexity);
      CHECK(perplexity_of(p) == doctest::Approx(perplexity).epsilon(1e-6));
      CHECK(std::accumulate(p.begin(), p.end(), 0.0) == doctest::Approx(1).epsilon(1e-12));
      for (std::size_t i = 0; i < p.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
          if (distances[i] < distances[j]) CHECK(p[i] >= p[j]);
    }
}

TEST_CASE("affinities of equal distances are equal, and never not a number") {
  for (const double distance : {0.0, 1.0, 1e-300, 1e300}) {
    const std::vector<double> p = row_affinities(std::vector<double>(10, distance), 3);
    for (const double value : p) CHECK(value == doctest::Approx(0.1));
  }
  // Twenty at the same place are more than a perplexity of 5 counts.
  std::vector<double> mixed(30, 0.0);
  for (std::size_t i = 20; i < 30; ++i) mixed[i] = 2;
  const std::vector<double> p = row_affinities(mixed, 5);
  CHECK(std::accumulate(p.begin(), p.end(), 0.0) == doctest::Approx(1));
  CHECK(p[0] == doctest::Approx(0.05).epsilon(1e-6));
  CHECK(p[25] < 1e-6);
  const std::vector<double> single = row_affinities(std::vector<double>{0.7}, 1);
  CHECK(single[0] == 1);
}

TEST_CASE("affinities are symmetric, as plain loops over all pairs make them, for any number of threads") {
  const test::KeepThreads keep;
  constexpr std::size_t rows = 150, each = 12;
  RandomStream random(6, Purpose::test);
  std::vector<std::int32_t> neighbours;
  std::vector<double> distances;
  for (std::size_t r = 0; r < rows; ++r) {
    std::vector<std::int32_t> others;
    for (std::size_t o = 0; o < rows; ++o)
      if (o != r) others.push_back(static_cast<std::int32_t>(o));
    for (std::size_t k = 0; k < each; ++k) {
      std::swap(others[k], others[k + random.below(static_cast<std::uint32_t>(others.size() - k))]);
      neighbours.push_back(others[k]);
      distances.push_back(random.uniform(0.1f, 2));
    }
  }
  std::vector<double> plain(rows * rows);
  for (std::size_t r = 0; r < rows; ++r) {
    const std::vector<double> p = row_affinities(std::span(distances).subspan(r * each, each), 4);
    for (std::size_t k = 0; k < each; ++k) {
      const auto other = static_cast<std::size_t>(neighbours[r * each + k]);
      plain[r * rows + other] += p[k] / (2 * rows);
      plain[other * rows + r] += p[k] / (2 * rows);
    }
  }
  Affinities first;
  for (const int threads : {1, 2}) {
    set_compute_threads(threads);
    const Affinities found = affinities(neighbours, distances, each, 4);
    REQUIRE(found.rows() == rows);
    std::vector<double> dense(rows * rows);
    double sum = 0;
    for (std::size_t r = 0; r < rows; ++r)
      for (auto k = static_cast<std::size_t>(found.begin[r]); k < static_cast<std::size_t>(found.begin[r + 1]);
           ++k) {
        const auto other = static_cast<std::size_t>(found.other[k]);
        CHECK(dense[r * rows + other] == 0);  // named once
        dense[r * rows + other] = found.value[k];
        sum += found.value[k];
      }
    CHECK(sum == doctest::Approx(1).epsilon(1e-6));
    for (std::size_t i = 0; i < dense.size(); ++i) CHECK(dense[i] == doctest::Approx(plain[i]).epsilon(1e-6));
    if (threads == 1) first = found;
    CHECK(found.other == first.other);
    CHECK(found.value == first.value);
  }
}

}  // namespace
}  // namespace kindred
