// How large the images of a set are, as a histogram.
#pragma once

#include <kindred/apps/survey/survey.h>

#include <cstdint>
#include <vector>

namespace kindred {

enum class Side : std::uint8_t { shorter, longer };

// Bin b holds the sides of edges[b] pixels or more and below edges[b + 1].
struct SizeBins {
  std::vector<int> edges{};  // rising; empty without images
  bool logarithmic = false;  // the edges rise by about equal factors; else by equal steps
  std::vector<std::vector<std::int64_t>> counts{};  // [splits][bins]
  bool single_values() const { return !logarithmic && edges.size() > 1 && edges[1] - edges[0] == 1; }
};

// Edges for sides from `least` to `most` pixels (1 or more): round numbers, for at most `most_bins` bins (12 or more). Where the
// largest is over eight times the smallest they are logarithmic: 10, 15, 20, 30, 50, 70, 100 and so on.
SizeBins bins_between(int least, int most, int most_bins);

// Of every image that can be read. All are counted, each once.
SizeBins count_sides(const std::vector<SplitSurvey>& splits, Side side, int most_bins);

// "32" or "200 to 299": the sides that the bin holds.
std::string sides_of_bin(const SizeBins& bins, std::size_t bin);

}  // namespace kindred
