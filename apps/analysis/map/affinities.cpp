#include <kindred/apps/analysis/map/affinities.h>
#include <kindred/engine/cpu/parallel.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>

namespace kindred {
namespace {

constexpr int bisections = 200;
constexpr std::int64_t affinity_rows_at_once = 64;

struct Entry {
  std::int32_t other;
  float value;
};

// What a row and its column say, in ascending order of the other row: merged, and where both have an entry, summed.
template <typename Visit>
void merge(std::span<const Entry> row, std::span<const Entry> column, const Visit& visit) {
  auto a = row.begin(), b = column.begin();
  while (a != row.end() || b != column.end()) {
    const bool takes_a = b == column.end() || (a != row.end() && a->other <= b->other);
    const bool takes_b = a == row.end() || (b != column.end() && b->other <= a->other);
    Entry sum{takes_a ? a->other : b->other, 0};
    if (takes_a) sum.value += (a++)->value;
    if (takes_b) sum.value += (b++)->value;
    visit(sum);
  }
}

// Entries of all rows, those of a row together.
struct Table {
  std::vector<std::int64_t> begin;
  std::vector<Entry> entries;

  std::span<const Entry> row(std::int64_t r) const {
    const auto first = static_cast<std::size_t>(begin[static_cast<std::size_t>(r)]);
    return std::span(entries).subspan(first,
                                      static_cast<std::size_t>(begin[static_cast<std::size_t>(r) + 1]) - first);
  }
};

Table directed(std::span<const std::int32_t> neighbours, std::span<const double> squared_distances,
               std::int64_t each, double perplexity) {
  const std::int64_t rows = static_cast<std::int64_t>(neighbours.size()) / each;
  Table table;
  for (std::int64_t r = 0; r <= rows; ++r) table.begin.push_back(r * each);
  table.entries.resize(neighbours.size());
  const double scale = 0.5 / static_cast<double>(rows);
  parallel_for(rows, affinity_rows_at_once, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      const auto at = static_cast<std::size_t>(r * each), count = static_cast<std::size_t>(each);
      const std::vector<double> p = row_affinities(squared_distances.subspan(at, count), perplexity);
      for (std::size_t k = 0; k < count; ++k)
        table.entries[at + k] = {neighbours[at + k], static_cast<float>(scale * p[k])};
      std::sort(table.entries.begin() + r * each, table.entries.begin() + (r + 1) * each,
                [](const Entry& a, const Entry& b) { return a.other < b.other; });
    }
  });
  return table;
}

Table transposed(const Table& table) {
  const auto rows = static_cast<std::int64_t>(table.begin.size()) - 1;
  Table result{std::vector<std::int64_t>(table.begin.size()), std::vector<Entry>(table.entries.size())};
  for (const Entry& entry : table.entries) ++result.begin[static_cast<std::size_t>(entry.other) + 1];
  std::partial_sum(result.begin.begin(), result.begin.end(), result.begin.begin());
  std::vector<std::int64_t> next = result.begin;
  for (std::int64_t r = 0; r < rows; ++r)  // in this order columns become ascending
    for (const Entry& entry : table.row(r))
      result.entries[static_cast<std::size_t>(next[static_cast<std::size_t>(entry.other)]++)] = {
          static_cast<std::int32_t>(r), entry.value};
  return result;
}

}  // namespace

std::vector<double> row_affinities(std::span<const double> squared_distances, double perplexity) {
  const auto count = static_cast<double>(squared_distances.size());
  const double nearest = *std::min_element(squared_distances.begin(), squared_distances.end());
  double mean = 0;
  for (const double d : squared_distances) mean += (d - nearest) / count;
  std::vector<double> p(squared_distances.size(), 1 / count);
  if (!(mean > 0)) return p;  // all are equal
  double beta = 1 / mean, low = 0, high = INFINITY;
  for (int i = 0; i < bisections; ++i) {
    double sum = 0, weighted = 0;
    for (std::size_t k = 0; k < p.size(); ++k) {
      const double d = squared_distances[k] - nearest;  // the same probabilities, and the largest is never 0
      p[k] = std::exp(-beta * d);
      sum += p[k];
      weighted += d * p[k];
    }
    for (double& value : p) value /= sum;
    const double excess = std::log(sum) + beta * weighted / sum - std::log(perplexity);
    if (std::abs(excess) < 1e-8) break;
    (excess > 0 ? low : high) = beta;
    const double next = std::isinf(high) ? 2 * beta : (low + high) / 2;
    if (next == beta || !std::isfinite(next * (mean * count))) break;
    beta = next;
  }
  return p;
}

Affinities affinities(std::span<const std::int32_t> neighbours, std::span<const double> squared_distances,
                      std::int64_t each, double perplexity) {
  const Table rows = directed(neighbours, squared_distances, each, perplexity), columns = transposed(rows);
  Affinities result;
  result.begin.resize(rows.begin.size());
  const std::int64_t count = result.rows();
  parallel_for(count, affinity_rows_at_once, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r)
      merge(rows.row(r), columns.row(r),
            [&](const Entry&) { ++result.begin[static_cast<std::size_t>(r) + 1]; });
  });
  std::partial_sum(result.begin.begin(), result.begin.end(), result.begin.begin());
  result.other.resize(static_cast<std::size_t>(result.begin.back()));
  result.value.resize(result.other.size());
  parallel_for(count, affinity_rows_at_once, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      auto at = static_cast<std::size_t>(result.begin[static_cast<std::size_t>(r)]);
      merge(rows.row(r), columns.row(r), [&](const Entry& entry) {
        result.other[at] = entry.other;
        result.value[at++] = entry.value;
      });
    }
  });
  return result;
}

}  // namespace kindred
