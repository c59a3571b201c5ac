#include <kindred/apps/survey/charts/class_counts.h>

#include <algorithm>
#include <numeric>

namespace kindred {

std::int64_t ClassCounts::of_split(std::size_t split) const {
  return std::accumulate(files[split].begin(), files[split].end(), std::int64_t{0});
}

ClassCounts count_classes(const std::vector<SplitSurvey>& splits) {
  ClassCounts counts{.names = splits.front().set.class_names()};
  for (const SplitSurvey& split : splits) {
    counts.splits.push_back(split.name);
    std::vector<std::int64_t>& files = counts.files.emplace_back();
    for (const OutcomeCounts& of_class : split.counts_by_class()) files.push_back(of_class.files());
    files.resize(counts.names.size());
  }
  return counts;
}

ShownClasses classes_to_show(const ClassCounts& counts, std::size_t most) {
  std::vector<std::size_t> order(counts.names.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (order.size() <= most) return {.first = order};
  const std::vector<std::int64_t>& files = counts.files.front();
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return files[a] > files[b]; });
  const auto smallest = static_cast<std::ptrdiff_t>(most / 2),
             largest = static_cast<std::ptrdiff_t>(most) - smallest;
  return {.first = {order.begin(), order.begin() + largest}, .last = {order.end() - smallest, order.end()}};
}

}  // namespace kindred
