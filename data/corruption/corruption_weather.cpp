// Snow, fog and brightness.
#include <kindred/data/corruption/corruption_parts.h>

#include <algorithm>
#include <bit>
#include <cmath>

namespace kindred::detail {
namespace {

struct Snow {
  float mean, deviation;  // of the flakes' brightness
  double zoom;            // scale of the flakes
  float threshold;        // darker flakes are removed
  double radius, sigma;   // of the motion blur
  float keep;             // fraction of the picture that is not whitened
};
constexpr std::array<Snow, 5> snows{{{0.1f, 0.3f, 3, 0.5f, 10, 4, 0.8f},
                                     {0.2f, 0.3f, 2, 0.5f, 12, 4, 0.7f},
                                     {0.55f, 0.3f, 4, 0.9f, 12, 8, 0.7f},
                                     {0.55f, 0.3f, 4.5, 0.85f, 12, 8, 0.65f},
                                     {0.55f, 0.3f, 2.5, 0.85f, 12, 12, 0.55f}}};

struct Fog {
  float amount, decay;
};
constexpr std::array<Fog, 5> fogs{{{1.5f, 2}, {2, 2}, {2.5f, 1.7f}, {2.5f, 1.5f}, {3, 1.4f}}};

constexpr std::array<float, 5> brightnesses{0.1f, 0.2f, 0.3f, 0.4f, 0.5f};

float gray_of(const Plane& plane, int y, int x) {
  return 0.299f * plane.at(y, x, 0) + 0.587f * plane.at(y, x, 1) + 0.114f * plane.at(y, x, 2);
}

void add_snow(Plane& plane, const Snow& how, RandomStream& random) {
  const int n = plane.side;
  Plane layer(n, 1);
  for (float& value : layer.values) value = how.mean + how.deviation * random.normal();
  layer = zoomed_middle(layer, how.zoom);
  for (float& value : layer.values)
    if (value < how.threshold) value = 0;
  quantize(layer);
  motion_blur(layer, how.radius, how.sigma, random.uniform(-135.0f, -45.0f));
  for (int y = 0; y < n; ++y)
    for (int x = 0; x < n; ++x) {
      const float white = 1.5f * gray_of(plane, y, x) + 0.5f;
      const float flakes = layer.at(y, x) + layer.at(n - 1 - y, n - 1 - x);
      for (int c = 0; c < 3; ++c) {
        float& value = plane.at(y, x, c);
        value = how.keep * value + (1 - how.keep) * std::max(value, white) + flakes;
      }
    }
}

// Heights from the diamond-square algorithm on a torus, scaled to 0..1. `side` is a power of two.
Plane plasma(int side, float decay, RandomStream& random) {
  Plane map(side, 1);
  const auto at = [&](int y, int x) -> float& { return map.at(y & (side - 1), x & (side - 1)); };
  double wibble = 100;
  for (int step = side; step >= 2; step /= 2, wibble /= decay) {
    const int half = step / 2;
    const auto wibbled = [&](float sum) {
      return sum / 4 + static_cast<float>(
                           wibble * random.uniform(static_cast<float>(-wibble), static_cast<float>(wibble)));
    };
    for (int y = 0; y < side; y += step)  // the centres of the squares
      for (int x = 0; x < side; x += step)
        at(y + half, x + half) = wibbled(at(y, x) + at(y + step, x) + at(y, x + step) + at(y + step, x + step));
    for (int y = 0; y < side; y += step)  // the centres of the diamonds: upper and left edges of the squares
      for (int x = 0; x < side; x += step) {
        at(y, x + half) = wibbled(at(y + half, x + half) + at(y - half, x + half) + at(y, x) + at(y, x + step));
        at(y + half, x) = wibbled(at(y + half, x + half) + at(y + half, x - half) + at(y, x) + at(y + step, x));
      }
  }
  const auto [low, high] = std::minmax_element(map.values.begin(), map.values.end());
  const float lowest = *low, range = *high - lowest;
  for (float& value : map.values) value = (value - lowest) / range;
  return map;
}

void add_fog(Plane& plane, const Fog& how, RandomStream& random) {
  const int n = plane.side;
  const Plane map =
      plasma(static_cast<int>(std::bit_ceil(static_cast<unsigned>(std::max(n, 256)))), how.decay, random);
  const float brightest = *std::max_element(plane.values.begin(), plane.values.end());
  for (int y = 0; y < n; ++y)
    for (int x = 0; x < n; ++x)
      for (int c = 0; c < 3; ++c)
        plane.at(y, x, c) =
            (plane.at(y, x, c) + how.amount * map.at(y, x)) * brightest / (brightest + how.amount);
}

// Increases V in HSV and keeps hue and saturation. All channels are proportional to V.
void brighten(Plane& plane, float amount) {
  for (std::size_t i = 0; i < plane.values.size(); i += 3) {
    float* pixel = &plane.values[i];
    const float value = std::max({pixel[0], pixel[1], pixel[2]}), brighter = std::min(value + amount, 1.0f);
    for (int c = 0; c < 3; ++c) pixel[c] = value > 0 ? pixel[c] * brighter / value : brighter;
  }
}

}  // namespace

void add_weather(Plane& plane, Corruption which, int severity, RandomStream& random) {
  const auto s = static_cast<std::size_t>(severity);
  if (which == Corruption::snow)
    add_snow(plane, snows[s], random);
  else if (which == Corruption::fog)
    add_fog(plane, fogs[s], random);
  else
    brighten(plane, brightnesses[s]);
}

}  // namespace kindred::detail
