#include <kindred/apps/evaluation/nearest_neighbours.h>
#include <kindred/apps/evaluation/similarities.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <numeric>
#include <span>

namespace kindred {
namespace {

// The class that wins the vote of the nearest rows. `similarities` compares one query with the whole bank.
std::int32_t vote(std::span<const float> similarities, const FeatureTable& bank, std::int64_t neighbours,
                  std::vector<std::int64_t>& order, std::vector<double>& votes) {
  put_nearest_first(similarities, neighbours, order);
  std::fill(votes.begin(), votes.end(), 0.0);
  for (std::int64_t i = 0; i < neighbours; ++i) {
    const auto row = static_cast<std::size_t>(order[static_cast<std::size_t>(i)]);
    votes[static_cast<std::size_t>(bank.labels[row])] += vote_weight(similarities[row]);
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
  const std::vector<float> keys = unit_rows(bank.features, bank.dim),
                           asked = unit_rows(queries.features, queries.dim);
  const std::int64_t tile = queries_of_tile(bank.rows());
  std::vector<float> similarities;
  std::vector<std::int64_t> correct(static_cast<std::size_t>(compute_threads()));
  // Whole tiles are dealt out, so a query is compared by the same product of matrices whatever the number of processes.
  const std::int64_t own_first = processes.rank() * tile, step = processes.size() * tile;
  for (std::int64_t first = own_first; first < queries.rows(); first += step) {
    const std::int64_t count = std::min(tile, queries.rows() - first);
    tile_similarities(asked, first, count, keys, bank.dim, similarities);
    parallel_ranges(count, 8, [&](int range, std::int64_t begin, std::int64_t end) {
      std::vector<std::int64_t> order;
      std::vector<double> votes(static_cast<std::size_t>(classes));
      const auto width = static_cast<std::size_t>(bank.rows());
      for (std::int64_t q = begin; q < end; ++q)
        correct[static_cast<std::size_t>(range)] +=
            vote(std::span(similarities).subspan(static_cast<std::size_t>(q) * width, width), bank, neighbours,
                 order, votes) == queries.labels[static_cast<std::size_t>(first + q)];
    });
  }
  const auto own = static_cast<double>(std::accumulate(correct.begin(), correct.end(), std::int64_t{0}));
  const double total =
      processes.is_alone() ? own : processes.sum({own}).front();  // whole numbers, so the sum is exact
  return total / static_cast<double>(queries.rows());
}

}  // namespace kindred
