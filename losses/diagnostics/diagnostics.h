// What a batch of features says about a run, in addition to its loss. Computed on the host from copies, at
// intervals during a run.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>

namespace kindred {

// Cosines from -1 to 1 are counted in so many bins of equal width. One beyond, by rounding, is in the last bin of its side.
inline constexpr int cosine_bins = 40;
std::size_t cosine_bin(double x);

// Mean and standard deviation; both are 0 if there are no values.
struct Spread {
  double mean = 0, deviation = 0;
  std::int64_t count = 0;
  std::array<std::int64_t, cosine_bins> bins{};  // of cosines
};

struct FeatureDiagnostics {
  // Wang and Isola 2020 (arXiv 2005.10242), equations 3 and 4 with alpha = t = 2:
  double alignment = 0;  // mean of |z_i - z_j|^2 over positive pairs; 0 is best
  double uniformity =
      0;  // log of the mean of exp(-2 |z_i - z_j|^2) over all pairs; 0 is collapse, about -4 is well spread
  // Cosine similarities. Own views are positives from the anchor's own image; other positives are from other
  // images of its class.
  Spread own_views, other_positives, negatives;
  // exp of the entropy of the normalized singular values (Roy and Vetterli 2007): how many directions are in
  // use, from 1 to the dimension.
  double effective_rank = 0;
  // For each number of positives, how many anchors have it.
  std::map<std::int64_t, std::int64_t> anchors_by_positives;
  std::int64_t rows = 0;

  double mean_positives() const;
  std::int64_t anchors_without_positives() const;
};

// features [rows, dim] of length 1, row-major; labels and images [rows] give the class and the image of each
// row. Rows of one label are positives of each other. O(rows^2 dim + dim^3).
FeatureDiagnostics diagnose(std::span<const float> features, std::int64_t dim,
                            std::span<const std::int32_t> labels, std::span<const std::int64_t> images);

}  // namespace kindred
