#include <kindred/apps/evaluation/nearest_neighbours.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/error.h>
#include <kindred/third_party/onednn/onednn.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kindred {
namespace {

constexpr float vote_temperature = 0.07f;
constexpr std::int64_t tile = 256;  // queries at a time, so that the similarities of a tile fit the cache

std::vector<float> unit_rows(const FeatureTable& table) {
  std::vector<float> rows = table.features;
  for (std::int64_t r = 0; r < table.rows(); ++r) {
    float* row = &rows[static_cast<std::size_t>(r * table.dim)];
    const float norm = std::sqrt(std::inner_product(row, row + table.dim, row, 0.0f));
    for (std::int64_t d = 0; d < table.dim; ++d) row[d] /= std::max(norm, 1e-12f);
  }
  return rows;
}

// The class that wins the vote of the nearest rows. `similarities` compares one query with the whole bank.
std::int32_t vote(const float* similarities, const FeatureTable& bank, std::int64_t neighbours,
                  std::vector<std::int64_t>& order, std::vector<double>& votes) {
  std::iota(order.begin(), order.end(), 0);
  // Among ties the earlier row comes first, so the result does not depend on the sorting algorithm.
  std::partial_sort(order.begin(), order.begin() + neighbours, order.end(),
                    [&](std::int64_t a, std::int64_t b) {
                      return similarities[a] != similarities[b] ? similarities[a] > similarities[b] : a < b;
                    });
  std::fill(votes.begin(), votes.end(), 0.0);
  for (std::int64_t i = 0; i < neighbours; ++i) {
    const auto row = static_cast<std::size_t>(order[static_cast<std::size_t>(i)]);
    votes[static_cast<std::size_t>(bank.labels[row])] += std::exp((similarities[row] - 1) / vote_temperature);
  }
  return static_cast<std::int32_t>(std::max_element(votes.begin(), votes.end()) - votes.begin());
}

}  // namespace

double nearest_neighbour_accuracy(const FeatureTable& bank, const FeatureTable& queries, std::int64_t classes,
                                  std::int64_t neighbours, const Communicator& processes) {
  check(bank.rows() > 0 && queries.rows() > 0 && bank.dim == queries.dim, ExitCode::internal,
        "nearest neighbours: {} rows of {} against {} of {}", queries.rows(), queries.dim, bank.rows(),
        bank.dim);
  neighbours = std::min(neighbours, bank.rows());
  const std::vector<float> keys = unit_rows(bank), asked = unit_rows(queries);
  std::vector<float> similarities(static_cast<std::size_t>(tile * bank.rows()));
  std::vector<std::int64_t> correct(static_cast<std::size_t>(compute_threads()));
  // Whole tiles are dealt out, so a query is compared by the same product of matrices whatever the number of processes.
  const std::int64_t own_first = processes.rank() * tile, step = processes.size() * tile;
  for (std::int64_t first = own_first; first < queries.rows(); first += step) {
    const std::int64_t count = std::min(tile, queries.rows() - first);
    onednn::sgemm({.m = count, .n = bank.rows(), .k = bank.dim, .transpose_b = true},
                  &asked[static_cast<std::size_t>(first * bank.dim)], keys.data(), similarities.data());
    parallel_ranges(count, 8, [&](int range, std::int64_t begin, std::int64_t end) {
      std::vector<std::int64_t> order(static_cast<std::size_t>(bank.rows()));
      std::vector<double> votes(static_cast<std::size_t>(classes));
      for (std::int64_t q = begin; q < end; ++q)
        correct[static_cast<std::size_t>(range)] +=
            vote(&similarities[static_cast<std::size_t>(q * bank.rows())], bank, neighbours, order, votes) ==
            queries.labels[static_cast<std::size_t>(first + q)];
    });
  }
  const auto own = static_cast<double>(std::accumulate(correct.begin(), correct.end(), std::int64_t{0}));
  const double total =
      processes.is_alone() ? own : processes.sum({own}).front();  // whole numbers, so the sum is exact
  return total / static_cast<double>(queries.rows());
}

}  // namespace kindred
