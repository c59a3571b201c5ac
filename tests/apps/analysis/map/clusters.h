// Random clusters, and how faithful a map of them is.
#pragma once

#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/random/philox.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace kindred::test {

// Sets the number of compute threads back at its end.
struct KeepThreads {
  int before = compute_threads();
  KeepThreads() = default;
  KeepThreads(const KeepThreads&) = delete;
  KeepThreads& operator=(const KeepThreads&) = delete;
  ~KeepThreads() { set_compute_threads(before); }
};

// [rows, dim]: row r is of cluster r % clusters, whose centre is normal; its own noise has `spread`.
inline std::vector<float> draw_clusters(std::int64_t rows, std::int64_t dim, std::int64_t clusters,
                                        float spread, std::uint64_t seed = 1) {
  std::vector<float> centres, result;
  RandomStream random(seed, Purpose::test);
  for (std::int64_t i = 0; i < clusters * dim; ++i) centres.push_back(random.normal());
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t d = 0; d < dim; ++d)
      result.push_back(centres[static_cast<std::size_t>(r % clusters * dim + d)] + spread * random.normal());
  return result;
}

// For each row how many others are nearer to it than each other one: [rows, rows], by cosine distance of the rows or by plain
// distance.
inline std::vector<std::int64_t> neighbour_ranks(std::span<const float> rows, std::int64_t dim, bool cosine) {
  const std::int64_t n = std::ssize(rows) / dim;
  const auto at = [&](std::int64_t r, std::int64_t d) {
    return double(rows[static_cast<std::size_t>(r * dim + d)]);
  };
  std::vector<std::int64_t> ranks(static_cast<std::size_t>(n * n));
  for (std::int64_t i = 0; i < n; ++i) {
    std::vector<double> distance(static_cast<std::size_t>(n));
    for (std::int64_t j = 0; j < n; ++j) {
      double product = 0, square_i = 0, square_j = 0, square = 0;
      for (std::int64_t d = 0; d < dim; ++d) {
        product += at(i, d) * at(j, d);
        square_i += at(i, d) * at(i, d);
        square_j += at(j, d) * at(j, d);
        square += (at(i, d) - at(j, d)) * (at(i, d) - at(j, d));
      }
      distance[static_cast<std::size_t>(j)] = cosine ? 1 - product / std::sqrt(square_i * square_j) : square;
    }
    distance[static_cast<std::size_t>(i)] = -INFINITY;
    std::vector<std::int64_t> order(static_cast<std::size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
      return distance[static_cast<std::size_t>(a)] < distance[static_cast<std::size_t>(b)];
    });
    for (std::int64_t rank = 0; rank < n; ++rank)
      ranks[static_cast<std::size_t>(i * n + order[static_cast<std::size_t>(rank)])] =
          rank;  // 0: the row itself
  }
  return ranks;
}

// Venna and Kaski's trustworthiness (2001): 1 if the `near` nearest on the map are also the nearest rows, less what those cost
// that are not.
inline double trustworthiness(std::span<const float> rows, std::int64_t dim, std::span<const float> xy,
                              std::int64_t near) {
  const std::int64_t n = std::ssize(xy) / 2;
  const auto of_rows = neighbour_ranks(rows, dim, true), of_map = neighbour_ranks(xy, 2, false);
  double cost = 0;
  for (std::size_t i = 0; i < of_rows.size(); ++i)
    if (of_map[i] >= 1 && of_map[i] <= near)
      cost += static_cast<double>(std::max<std::int64_t>(0, of_rows[i] - near));
  const double most = static_cast<double>(n * near) * static_cast<double>(2 * n - 3 * near - 1) / 2;
  return 1 - cost / most;
}

}  // namespace kindred::test
