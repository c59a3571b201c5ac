// The nearest-neighbour figure on rows whose answer is known by hand, and against plain loops.
#include <kindred/apps/evaluation/nearest_neighbours.h>
#include <kindred/engine/random/philox.h>

#include <doctest/doctest.h>

#include <cmath>
#include <map>

namespace kindred {
namespace {

// Rows in the plane, given by their cosine with (1, 0).
FeatureTable rows(const std::vector<std::pair<double, std::int32_t>>& cosines, float length = 1) {
  FeatureTable table;
  table.dim = 2;
  for (const auto& [cosine, label] : cosines) {
    table.features.push_back(length * static_cast<float>(cosine));
    table.features.push_back(length * static_cast<float>(std::sqrt(1 - cosine * cosine)));
    table.labels.push_back(label);
  }
  return table;
}

TEST_CASE("nearest neighbours: how many vote, and with which weight") {
  const FeatureTable query = rows({{1, 0}});  // of class 0
  // The nearest row is of class 0, the next two of class 1, and then many of class 2.
  const std::vector<std::pair<double, std::int32_t>> near = {{0.5, 2}, {0.98, 1}, {1, 0},   {0.97, 1}, {0.4, 2},
                                                             {0.3, 2}, {0.2, 2},  {0.1, 2}, {0, 2}};
  CHECK(nearest_neighbour_accuracy(rows(near), query, 3, 1) == 1);
  // exp(-0.02 / 0.07) + exp(-0.03 / 0.07) = 0.75 + 0.65: together more than the nearest.
  CHECK(nearest_neighbour_accuracy(rows(near), query, 3, 3) == 0);
  CHECK(nearest_neighbour_accuracy(rows(near), rows({{1, 1}}), 3, 3) == 1);
  // Two rows at 0.9 weigh exp(-0.1 / 0.07) = 0.24 each, together less than the one at 1. Without weights they
  // would win the vote.
  const std::vector<std::pair<double, std::int32_t>> apart = {{0.9, 1}, {1, 0}, {0.9, 1}};
  CHECK(nearest_neighbour_accuracy(rows(apart), query, 2, 3) == 1);
  // Lengths do not matter, and there may be fewer rows than neighbours.
  CHECK(nearest_neighbour_accuracy(rows(apart, 5), rows({{1, 0}}, 0.01f), 2, 20) == 1);
  // If two rows are equal, the earlier one counts as nearer.
  CHECK(nearest_neighbour_accuracy(rows({{0.8, 1}, {0.8, 0}}), query, 2, 1) == 0);
  CHECK(nearest_neighbour_accuracy(rows({{0.8, 0}, {0.8, 1}}), query, 2, 1) == 1);
  // Half of the queries are right.
  CHECK(nearest_neighbour_accuracy(rows({{1, 0}, {-1, 1}}), rows({{0.9, 0}, {-0.9, 0}}), 2, 1) == 0.5);
}

FeatureTable drawn(std::int64_t count, std::uint32_t which) {
  FeatureTable table;
  table.dim = 5;
  RandomStream random(23, Purpose::test, which);
  for (std::int64_t i = 0; i < count; ++i) {
    const auto label = static_cast<std::int32_t>(random.below(7));
    for (std::int64_t d = 0; d < table.dim; ++d)
      table.features.push_back(random.normal() + (d == label % 5 ? 1.5f : 0.0f));
    table.labels.push_back(label);
  }
  return table;
}

double cosine(const FeatureTable& a, std::int64_t i, const FeatureTable& b, std::int64_t j) {
  double product = 0, of_a = 0, of_b = 0;
  for (std::int64_t d = 0; d < a.dim; ++d) {
    const double x = a.features[static_cast<std::size_t>(i * a.dim + d)];
    const double y = b.features[static_cast<std::size_t>(j * b.dim + d)];
    product += x * y;
    of_a += x * x;
    of_b += y * y;
  }
  return product / std::sqrt(of_a * of_b);
}

TEST_CASE("nearest neighbours: more queries than fit one tile, against plain loops") {
  const FeatureTable bank = drawn(150, 0), queries = drawn(700, 1);  // a tile is 256 queries
  std::int64_t right = 0;
  for (std::int64_t q = 0; q < queries.rows(); ++q) {
    std::multimap<double, std::int32_t, std::greater<>> by_cosine;
    for (std::int64_t row = 0; row < bank.rows(); ++row)
      by_cosine.emplace(cosine(queries, q, bank, row), bank.labels[static_cast<std::size_t>(row)]);
    std::map<std::int32_t, double> votes;
    auto nearest = by_cosine.begin();
    for (int k = 0; k < 20; ++k, ++nearest) votes[nearest->second] += std::exp(nearest->first / 0.07);
    std::int32_t best = votes.begin()->first;
    for (const auto& [label, weight] : votes)
      if (weight > votes[best]) best = label;
    right += best == queries.labels[static_cast<std::size_t>(q)];
  }
  const double accuracy = nearest_neighbour_accuracy(bank, queries, 7);
  CHECK(accuracy == doctest::Approx(static_cast<double>(right) / 700).epsilon(1e-9));
  CHECK(accuracy > 0.25);
  CHECK(accuracy < 0.9);
}

}  // namespace
}  // namespace kindred
