// Images that are like no others, found by their features: what does not belong into a set, or is damaged, or rare.
#pragma once

#include <kindred/apps/analysis/neighbours.h>

#include <cstdint>
#include <vector>

namespace kindred {

// How far away an image is; distances are 1 - cosine, from 0 to 2.
enum class OutlierScore : std::uint8_t {
  kth,  // the distance to its k-th nearest other (Ramaswamy, Rastogi, Shim 2000, "Efficient algorithms for mining outliers
  // from large data sets"): k images that are like each other and like nothing else are still outliers for a larger k
  mean,  // the mean distance to its k nearest others (Angiulli and Pizzuti 2002, "Fast outlier detection in high dimensional
         // spaces")
};

struct Outlier {
  std::int32_t row = 0;
  float distance = 0;
  // How many standard deviations of a normal distribution this is above the median: (distance - median) / scale. Above 3.5 is
  // the usual mark of an outlier (Iglewicz and Hoaglin 1993).
  double z = 0;
};

struct Outliers {
  std::vector<Outlier> ranked{};  // all rows, the most distant first; of equal distances the earlier row first
  double median = 0;              // of the distances
  // 1.4826 times the median of their absolute deviations from the median, which outliers do not change. If that is 0, as
  // where more than half of the images are equal: 1.2533 times the mean of the deviations. If that is 0 too, all distances are
  // equal, and every z is 0.
  double scale = 0;
};

// others: nearest_others() of a table; k is its `each`. Throws Error(data) if there are no rows.
Outliers rank_outliers(const Neighbours& others, OutlierScore score = OutlierScore::kth);

}  // namespace kindred
