#include <kindred/engine/random/philox.h>

#include <cmath>
#include <numbers>

namespace kindred {

float RandomStream::normal() {
  const double u = (static_cast<double>(bits()) + 0.5) / 4294967296.0;  // in (0, 1): the logarithm is finite
  const double angle = 2.0 * std::numbers::pi * static_cast<double>(bits()) / 4294967296.0;
  return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(angle));
}

}  // namespace kindred
