// The building blocks of data/corruption/corruption*.cpp.
#pragma once

#include <kindred/data/corruption/corruption.h>

#include <array>
#include <cstddef>
#include <vector>

namespace kindred::detail {

// A square picture of floats, [side, side, channels], with values in 0..1.
struct Plane {
  int side = 0, channels = 3;
  std::vector<float> values;

  Plane() = default;
  Plane(int s, int c) : side(s), channels(c), values(std::size_t(s) * std::size_t(s) * std::size_t(c)) {}
  float& at(int y, int x, int c = 0) {
    return values[(std::size_t(y) * std::size_t(side) + std::size_t(x)) * std::size_t(channels) +
                  std::size_t(c)];
  }
  float at(int y, int x, int c = 0) const { return const_cast<Plane*>(this)->at(y, x, c); }
};

// The continuation beyond the border: `reflect_101` dcb|abcd|cba (OpenCV), `reflect` cba|abcd|dcb and `nearest`
// aaa|abcd|ddd (SciPy's names). The function returns the index in [0, n) that is used for index `i`.
enum class Border { reflect_101, reflect, nearest };
int inside(int i, int n, Border border);

Plane from_bytes(std::span<const std::uint8_t> pixels, int side);
void to_bytes(const Plane& plane,
              std::span<std::uint8_t> pixels);  // clipped to 0..1, truncated to integers as NumPy does
void quantize(Plane& plane);                    // converts to bytes and back

// The weights exp(-i^2 / 2 sigma^2) for i = -radius..radius, normalised to the sum 1.
std::vector<float> gaussian_weights(double sigma, int radius);
// Separable Gaussian blur with SciPy's radius: truncate * sigma, rounded.
void gaussian_filter(Plane& plane, double sigma, double truncate, Border border);
// The value at fractional coordinates, interpolated from the four pixels around them.
float bilinear(const Plane& plane, double y, double x, int channel, Border border);
// Enlarges the centre by `factor` (>= 1) and keeps the side. Linear interpolation, as in scipy.ndimage.zoom.
Plane zoomed_middle(const Plane& plane, double factor);
// ImageMagick's motion blur: a half Gaussian of 2 radius + 1 pixels in the direction of `degrees`.
void motion_blur(Plane& plane, double radius, double sigma, double degrees);

// corrupt() without the JPEG step. Here and below `severity` is 0 to 4.
void apply(std::span<std::uint8_t> pixels, int side, Corruption corruption, int severity, RandomStream& random);

// One function for each family of corruptions.
void add_noise(Plane& plane, Corruption which, int severity, RandomStream& random);
void blur(Plane& plane, Corruption which, int severity, RandomStream& random);
void add_weather(Plane& plane, Corruption which, int severity, RandomStream& random);
void transform(Plane& plane, Corruption which, int severity, RandomStream& random);

void pixelate(std::span<std::uint8_t> pixels, int side, double scale);
void through_jpeg(std::span<std::uint8_t> pixels, int side, int quality);

}  // namespace kindred::detail
