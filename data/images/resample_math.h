// One coordinate of a bilinear resize with antialiasing, as in Pillow. The host and the GPU share this
// arithmetic.
#pragma once

#include <kindred/engine/host_device.h>

#include <algorithm>
#include <cmath>

namespace kindred {

// The triangle filter for output `at` of a resize from `in` to `out` coordinates. It covers the inputs [low,
// high).
struct Triangle {
  double center, support;  // support is half the width
  int low, high;

  KINDRED_HOST_DEVICE Triangle(int in, int out, int at) {
    const double scale = double(in) / double(out);
    support = std::max(scale, 1.0);
    center = (at + 0.5) * scale;
    low = std::max(0, static_cast<int>(center - support + 0.5));
    high = std::min(in, static_cast<int>(center + support + 0.5));
  }
  // Not normalised: divide by the sum of all weights.
  KINDRED_HOST_DEVICE double weight(int x) const {
    return std::max(0.0, 1.0 - std::abs(x + 0.5 - center) / support);
  }
};

}  // namespace kindred
