// One coordinate of a bilinear resize with antialiasing, as Pillow's: the arithmetic that the host and a GPU
// share.
#pragma once

#include <kindred/engine/host_device.h>

#include <algorithm>
#include <cmath>

namespace kindred {

// The triangle over the inputs [low, high) that output `at` of a resize from `in` to `out` coordinates sums.
struct Triangle {
  double center, support;  // support: half the width
  int low, high;

  KINDRED_HOST_DEVICE Triangle(int in, int out, int at) {
    const double scale = double(in) / double(out);
    support = std::max(scale, 1.0);
    center = (at + 0.5) * scale;
    low = std::max(0, static_cast<int>(center - support + 0.5));
    high = std::min(in, static_cast<int>(center + support + 0.5));
  }
  // Not yet divided by the sum of all.
  KINDRED_HOST_DEVICE double weight(int x) const {
    return std::max(0.0, 1.0 - std::abs(x + 0.5 - center) / support);
  }
};

}  // namespace kindred
