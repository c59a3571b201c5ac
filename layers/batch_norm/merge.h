// The statistics of several sets of rows taken together (Chan, Golub and LeVeque 1979, "Updating formulae and a
// pairwise algorithm for computing sample variances"). Used on every device.
#pragma once

#include <kindred/engine/host_device.h>

#include <cstdint>

namespace kindred {

struct MeanAndVariance {
  double mean, variance;  // biased
};

// `share` is the fraction of all rows that belongs to b, between 0 and 1.
KINDRED_HOST_DEVICE inline MeanAndVariance merged(MeanAndVariance a, MeanAndVariance b, double share) {
  const double apart = b.mean - a.mean;
  // Not a.variance plus a part of the difference: of two infinite variances that would be NaN.
  return {a.mean + apart * share,
          a.variance * (1 - share) + b.variance * share + apart * apart * share * (1 - share)};
}

// Channel c of `count` sets of the same size: parts [count, 2, channels], each set's means, then its variances.
template <typename T>
KINDRED_HOST_DEVICE MeanAndVariance merged_in_order(const T* parts, std::int64_t count, std::int64_t channels,
                                                    std::int64_t c) {
  MeanAndVariance all{parts[c], parts[channels + c]};
  for (std::int64_t k = 1; k < count; ++k) {
    const T* part = parts + 2 * k * channels;
    all = merged(all, {part[c], part[channels + c]}, 1.0 / static_cast<double>(k + 1));
  }
  return all;
}

}  // namespace kindred
