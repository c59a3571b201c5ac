#include <kindred/apps/analysis/duplicates.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

namespace kindred {
namespace {

// Disjoint sets of rows (Tarjan 1975). The root of a set is its smallest row.
class ConnectedRows {
 public:
  explicit ConnectedRows(std::int64_t rows) : parent_(static_cast<std::size_t>(rows)) {
    std::iota(parent_.begin(), parent_.end(), 0);
  }
  std::int32_t root(std::int32_t row) {
    while (parent_[static_cast<std::size_t>(row)] != row) {
      std::int32_t& above = parent_[static_cast<std::size_t>(row)];
      above = parent_[static_cast<std::size_t>(above)];
      row = above;
    }
    return row;
  }
  void connect(std::int32_t a, std::int32_t b) {
    const auto [low, high] = std::minmax({root(a), root(b)});
    parent_[static_cast<std::size_t>(high)] = low;
  }

 private:
  std::vector<std::int32_t> parent_;
};

std::vector<DuplicatePair> pairs_above(const Neighbours& others, float least) {
  std::vector<DuplicatePair> pairs;
  for (std::int64_t row = 0; row < others.queries(); ++row)
    for (std::size_t i = 0; i < static_cast<std::size_t>(others.each); ++i) {
      const float cosine = others.similarity_of(row)[i];
      if (cosine < least) break;
      const auto [a, b] = std::minmax({static_cast<std::int32_t>(row), others.rows_of(row)[i]});
      pairs.push_back({a, b, cosine});
    }
  // Most pairs are found from both sides.
  const auto rows_of = [](const DuplicatePair& pair) { return std::pair(pair.a, pair.b); };
  std::ranges::sort(pairs, {}, rows_of);
  const auto repeated = std::ranges::unique(pairs, {}, rows_of);
  pairs.erase(repeated.begin(), repeated.end());
  std::ranges::sort(pairs, {},
                    [](const DuplicatePair& pair) { return std::tuple(-pair.cosine, pair.a, pair.b); });
  return pairs;
}

// Whether two of the rows have different values. One without a value (-1) differs from none.
bool differ(const std::vector<std::int32_t>& values, const std::vector<std::int32_t>& rows) {
  if (values.empty()) return false;
  std::int32_t seen = -1;
  for (const std::int32_t row : rows) {
    const std::int32_t value = values[static_cast<std::size_t>(row)];
    if (seen >= 0 && value >= 0 && value != seen) return true;
    seen = std::max(seen, value);
  }
  return false;
}

}  // namespace

Duplicates find_duplicates(const ImageTable& table, const Neighbours& others, float threshold) {
  check(threshold > 0 && threshold <= 1, ExitCode::usage,
        "{} as the least cosine of duplicates: expected above 0 and at most 1", threshold);
  check(others.queries() == table.rows(), ExitCode::internal, "duplicates: neighbours of {} rows for {}",
        others.queries(), table.rows());
  const float least = threshold - rounding_of_cosines;
  Duplicates found{.pairs = pairs_above(others, least)};

  ConnectedRows connected(table.rows());
  for (const DuplicatePair& pair : found.pairs) connected.connect(pair.a, pair.b);
  std::vector<std::int32_t> group_of(static_cast<std::size_t>(table.rows()), -1);  // of roots
  for (const DuplicatePair& pair : found.pairs) {
    std::int32_t& group = group_of[static_cast<std::size_t>(connected.root(pair.a))];
    if (group < 0) {
      group = static_cast<std::int32_t>(found.groups.size());
      found.groups.emplace_back();
    }
    DuplicateGroup& of_pair = found.groups[static_cast<std::size_t>(group)];
    of_pair.least = std::min(of_pair.least, pair.cosine);
    of_pair.most = std::max(of_pair.most, pair.cosine);
  }
  for (std::int32_t row = 0; row < table.rows(); ++row)
    if (const std::int32_t group = group_of[static_cast<std::size_t>(connected.root(row))]; group >= 0) {
      found.groups[static_cast<std::size_t>(group)].rows.push_back(row);
      ++found.images;
    }
  for (DuplicateGroup& group : found.groups) {
    group.crosses_parts = differ(table.parts_of, group.rows);
    group.crosses_classes = differ(table.labels, group.rows);
    found.crossing_parts += group.crosses_parts;
    found.crossing_classes += group.crosses_classes;
  }
  std::ranges::sort(found.groups, {}, [](const DuplicateGroup& group) {
    return std::pair(-std::ssize(group.rows), group.rows.front());
  });
  if (others.each < table.rows() - 1)
    for (std::int64_t row = 0; row < table.rows(); ++row)
      found.cut_off += others.similarity_of(row).back() >= least;
  return found;
}

}  // namespace kindred
