#include <kindred/data/views/tone.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace kindred {
namespace {

using Levels = std::array<std::uint8_t, 256>;
using Histogram = std::array<std::uint32_t, 256>;

// Four counters for each level. Neighbouring pixels are often equal, and with a single counter each increment
// would wait for the previous one.
Histogram histogram_of(const std::uint8_t* values, std::size_t count) {
  std::array<Histogram, 4> parts{};
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4)
    for (std::size_t part = 0; part < 4; ++part) ++parts[part][values[i + part]];
  for (; i < count; ++i) ++parts[0][values[i]];
  for (std::size_t level = 0; level < 256; ++level)
    parts[0][level] += parts[1][level] + parts[2][level] + parts[3][level];
  return parts[0];
}

// For each channel, replaces the values by the levels that `levels_of` computes from the histogram. `levels_of`
// returns false if nothing must be changed.
template <typename LevelsOf>
void map_channels(Planes& view, const LevelsOf& levels_of) {
  const std::size_t pixels = view.pixels();
  for (int channel = 0; channel < 3; ++channel) {
    std::uint8_t* values = view.plane(channel);
    Levels levels;
    if (!levels_of(histogram_of(values, pixels), levels)) continue;
    for (std::size_t i = 0; i < pixels; ++i) values[i] = levels[values[i]];
  }
}

template <typename Change>
void map_values(Planes& view, const Change& change) {
  for (std::uint8_t& value : view.values) value = change(value);
}

bool stretched(const Histogram& histogram, Levels& levels) {
  int low = 0, high = 255;
  while (low < 255 && histogram[std::size_t(low)] == 0) ++low;
  while (high > 0 && histogram[std::size_t(high)] == 0) --high;
  if (high <= low) return false;
  const double scale = 255.0 / (high - low), offset = -low * scale;
  for (int level = 0; level < 256; ++level)
    levels[std::size_t(level)] =
        static_cast<std::uint8_t>(std::clamp(static_cast<int>(level * scale + offset), 0, 255));
  return true;
}

bool equalized(const Histogram& histogram, Levels& levels) {
  std::uint32_t total = 0, last = 0;
  int different = 0;
  for (const std::uint32_t count : histogram) {
    total += count;
    if (count == 0) continue;
    last = count;
    ++different;
  }
  const std::uint32_t step = (total - last) / 255;
  if (different <= 1 || step == 0) return false;
  std::uint32_t below = step / 2;
  for (std::size_t level = 0; level < 256; ++level) {
    levels[level] = static_cast<std::uint8_t>(std::min(below / step, 255u));
    below += histogram[level];
  }
  return true;
}

}  // namespace

void posterize(Planes& view, int bits) {
  const auto mask = static_cast<std::uint8_t>(0xFF00 >> bits);
  map_values(view, [=](std::uint8_t v) { return static_cast<std::uint8_t>(v & mask); });
}

void solarize(Planes& view, float threshold) {
  const int first = static_cast<int>(std::ceil(std::clamp(threshold, 0.0f, 256.0f)));
  map_values(view, [=](std::uint8_t v) { return static_cast<std::uint8_t>(v < first ? v : 255 - v); });
}

void solarize_add(Planes& view, int addition) {
  map_values(view, [=](std::uint8_t v) {
    return v < 128 ? static_cast<std::uint8_t>(std::min(v + addition, 255)) : v;
  });
}

void invert(Planes& view) {
  map_values(view, [](std::uint8_t v) { return static_cast<std::uint8_t>(255 - v); });
}

void autocontrast(Planes& view) {
  map_channels(view, stretched);
}

void equalize(Planes& view) {
  map_channels(view, equalized);
}

}  // namespace kindred
