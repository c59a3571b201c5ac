// The statistics of two sets of rows taken together (Chan, Golub and LeVeque 1979, "Updating formulae and a
// pairwise algorithm for computing sample variances"). Used on every device.
#pragma once

#include <kindred/engine/host_device.h>

namespace kindred {

struct MeanAndVariance {
  double mean, variance;  // biased
};

// `share` is the fraction of all rows that belongs to b.
KINDRED_HOST_DEVICE inline MeanAndVariance merged(MeanAndVariance a, MeanAndVariance b, double share) {
  const double apart = b.mean - a.mean;
  return {a.mean + apart * share,
          a.variance + (b.variance - a.variance) * share + apart * apart * share * (1 - share)};
}

}  // namespace kindred
