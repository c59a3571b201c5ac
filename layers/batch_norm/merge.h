// Statistics of two sets of rows together (Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise
// algorithm for computing sample variances"). For every device.
#pragma once

#include <kindred/engine/host_device.h>

namespace kindred {

struct MeanAndVariance {
  double mean, variance;  // biased
};

// `share`: of all rows, that of b's.
KINDRED_HOST_DEVICE inline MeanAndVariance merged(MeanAndVariance a, MeanAndVariance b, double share) {
  const double apart = b.mean - a.mean;
  return {a.mean + apart * share,
          a.variance + (b.variance - a.variance) * share + apart * apart * share * (1 - share)};
}

}  // namespace kindred
