// Gaussian, shot and impulse noise.
#include <kindred/data/corruption/corruption_parts.h>

#include <algorithm>
#include <cmath>

namespace kindred::detail {
namespace {

constexpr std::array<float, 5> gaussian_deviations{0.08f, 0.12f, 0.18f, 0.26f, 0.38f};
constexpr std::array<float, 5> shot_photons{60, 25, 12, 5, 3};  // mean number for a white pixel
constexpr std::array<float, 5> impulse_shares{0.03f, 0.06f, 0.09f, 0.17f, 0.27f};

// Knuth's method: counts how many uniform numbers can be multiplied before the product falls below exp(-mean).
int poisson(double mean, RandomStream& random) {
  const double limit = std::exp(-mean);
  int count = 0;
  for (double product = random.uniform(); product > limit; product *= random.uniform()) ++count;
  return count;
}

}  // namespace

void add_noise(Plane& plane, Corruption which, int severity, RandomStream& random) {
  const auto s = static_cast<std::size_t>(severity);
  for (float& value : plane.values) {
    if (which == Corruption::gaussian_noise) {
      value += gaussian_deviations[s] * random.normal();
    } else if (which == Corruption::shot_noise) {
      value =
          static_cast<float>(poisson(static_cast<double>(value) * shot_photons[s], random)) / shot_photons[s];
    } else {
      const bool hit = random.uniform() <= impulse_shares[s], white = random.uniform() <= 0.5f;
      if (hit) value = white ? 1.0f : 0.0f;  // each channel is drawn separately
    }
  }
}

}  // namespace kindred::detail
