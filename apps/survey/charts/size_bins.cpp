#include <kindred/apps/survey/charts/round_numbers.h>
#include <kindred/apps/survey/charts/size_bins.h>

#include <algorithm>
#include <utility>

namespace kindred {
namespace {

constexpr int wide_range = 8;  // from here on logarithmic: equal steps would crowd the small ones into one bin

// The numbers that are `digits` (of two places) times a power of ten, from the last one that is not above `least` to the first
// one above `most`.
std::vector<int> logarithmic_edges(int least, int most, const std::vector<int>& digits) {
  std::vector<int> edges;
  for (std::int64_t power = 1;; power *= 10)
    for (const int digit : digits) {
      if (digit * power % 10 != 0) continue;  // 1.5
      const auto edge = static_cast<int>(digit * power / 10);
      if (edge <= least) edges.clear();
      edges.push_back(edge);
      if (edge > most) return edges;
    }
}

std::vector<int> equal_edges(int least, int most, int step) {
  std::vector<int> edges;
  for (int edge = least / step * step;; edge += step) {
    edges.push_back(edge);
    if (edge > most) return edges;
  }
}

// A single bar says little without an axis: sizes around it that no image has.
void widen(std::vector<int>& edges) {
  constexpr std::size_t least_edges = 8;
  while (edges.size() < least_edges) {
    edges.push_back(edges.back() + 1);
    if (edges.size() < least_edges && edges.front() > 1) edges.insert(edges.begin(), edges.front() - 1);
  }
}

int side_of(const SampleFinding& sample, Side side) {
  return side == Side::shorter ? std::min(sample.height, sample.width) : std::max(sample.height, sample.width);
}

}  // namespace

SizeBins bins_between(int least, int most, int most_bins) {
  const auto bins_of = [](const std::vector<int>& edges) { return static_cast<int>(edges.size()) - 1; };
  SizeBins bins;
  if (most / least >= wide_range) {
    bins.logarithmic = true;
    bins.edges = logarithmic_edges(least, most, {10, 15, 20, 30, 50, 70});
    if (bins_of(bins.edges) > most_bins) bins.edges = logarithmic_edges(least, most, {10, 20, 50});
    if (bins_of(bins.edges) > most_bins) bins.edges = logarithmic_edges(least, most, {10});
    return bins;
  }
  for (std::int64_t step = 1; bins.edges.empty() || bins_of(bins.edges) > most_bins; step *= 10)
    for (const int digit : {1, 2, 5}) {
      bins.edges = equal_edges(least, most, static_cast<int>(step * digit));
      if (bins_of(bins.edges) <= most_bins) break;
    }
  if (bins.single_values()) widen(bins.edges);
  return bins;
}

SizeBins count_sides(const std::vector<SplitSurvey>& splits, Side side, int most_bins) {
  int least = 0, most = 0;
  for (const SplitSurvey& split : splits)
    for (const SampleFinding& sample : split.samples) {
      if (sample.outcome == Outcome::rejected) continue;
      const int pixels = std::max(1, side_of(sample, side));
      least = least == 0 ? pixels : std::min(least, pixels);
      most = std::max(most, pixels);
    }
  if (most == 0)
    return {.edges = {}, .logarithmic = false, .counts = std::vector<std::vector<std::int64_t>>(splits.size())};
  SizeBins bins = bins_between(least, most, most_bins);
  for (const SplitSurvey& split : splits) {
    std::vector<std::int64_t>& counts = bins.counts.emplace_back(bins.edges.size() - 1);
    for (const SampleFinding& sample : split.samples) {
      if (sample.outcome == Outcome::rejected) continue;
      const auto above =
          std::upper_bound(bins.edges.begin(), bins.edges.end(), std::max(1, side_of(sample, side)));
      ++counts[static_cast<std::size_t>(above - bins.edges.begin()) - 1];
    }
  }
  return bins;
}

std::string sides_of_bin(const SizeBins& bins, std::size_t bin) {
  const int first = bins.edges[bin], last = bins.edges[bin + 1] - 1;
  return first == last ? with_commas(first) : with_commas(first) + " to " + with_commas(last);
}

}  // namespace kindred
