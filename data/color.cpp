#include <kindred/data/color.h>
#include <kindred/data/pixel_math.h>

#include <algorithm>

namespace kindred {
namespace {

inline std::uint8_t round_positive(float value) {
  return static_cast<std::uint8_t>(static_cast<int>(value + 0.5f));
}

// v * (1 - s * t), where t says how far the channel is from its full value on the colour wheel: with the hue in
// sixths of a turn and k = (offset + hue) mod 6, t = clamp(min(k, 4 - k), 0, 1). Offsets: red 5, green 3,
// blue 1.
inline std::uint8_t from_wheel(float offset, float sixths, float saturation, float value) {
  float k = offset + sixths;
  k = k >= 6.0f ? k - 6.0f : k;
  const float t = std::min(std::max(std::min(k, 4.0f - k), 0.0f), 1.0f);
  return round_positive(value * (1.0f - saturation * t));
}

}  // namespace

void adjust_brightness(Planes& view, float factor) {
  std::uint8_t* values = view.values.data();
  const std::size_t count = view.values.size();
  for (std::size_t i = 0; i < count; ++i) values[i] = clip(factor * float(values[i]));
}

void adjust_contrast(Planes& view, float factor) {
  const std::uint8_t *red = view.plane(0), *green = view.plane(1), *blue = view.plane(2);
  const std::size_t pixels = view.pixels();
  std::uint64_t sum = 0;
  for (std::size_t row = 0; row < pixels; row += std::size_t(view.size)) {
    std::uint32_t row_sum = 0;  // 32 bits hold a row of 16 million pixels, and vectorise
    for (std::size_t i = row; i < row + std::size_t(view.size); ++i) {
      row_sum += static_cast<std::uint32_t>(gray_of(red[i], green[i], blue[i]));
    }
    sum += row_sum;
  }
  const int mean = static_cast<int>(double(sum) / double(pixels) + 0.5);
  std::uint8_t* values = view.values.data();
  const std::size_t count = view.values.size();
  for (std::size_t i = 0; i < count; ++i) values[i] = blend(mean, values[i], factor);
}

void adjust_saturation(Planes& view, float factor) {
  std::uint8_t *red = view.plane(0), *green = view.plane(1), *blue = view.plane(2);
  const std::size_t pixels = view.pixels();
#pragma GCC ivdep  // the three planes do not overlap
  for (std::size_t i = 0; i < pixels; ++i) {
    const int gray = gray_of(red[i], green[i], blue[i]);
    red[i] = blend(gray, red[i], factor);
    green[i] = blend(gray, green[i], factor);
    blue[i] = blend(gray, blue[i], factor);
  }
}

// Branches would keep the loop from being vectorised, so both sides of every choice are computed. For a gray
// pixel the range is 0: it is divided as 1 instead, and saturation 0 makes its hue irrelevant.
void adjust_hue(Planes& view, float turns) {
  std::uint8_t *red = view.plane(0), *green = view.plane(1), *blue = view.plane(2);
  const std::size_t pixels = view.pixels();
  const int shift = static_cast<int>(turns * 255.0f);  // 8-bit hue wraps at 256, in Pillow and here
#pragma GCC ivdep                                      // the three planes do not overlap
  for (std::size_t i = 0; i < pixels; ++i) {
    const float r = red[i], g = green[i], b = blue[i];
    const float high = std::max(r, std::max(g, b)), low = std::min(r, std::min(g, b));
    const float range = std::max(high - low, 1.0f);
    const float to_red = (high - r) / range, to_green = (high - g) / range, to_blue = (high - b) / range;
    const float from_green = 2.0f + (to_red - to_blue), from_blue = 4.0f + (to_green - to_red);
    const float sixths = r == high ? to_blue - to_green : (g == high ? from_green : from_blue);
    float turn = sixths / 6.0f;
    turn = turn < 0.0f ? turn + 1.0f : turn;
    // Doubles where Pillow has them: a product in float would round up to a whole step that is not quite
    // reached.
    const int hue = static_cast<int>(double(turn) * 255.0);
    const int saturation = static_cast<int>(double((high - low) / std::max(high, 1.0f)) * 255.0);

    const float turned = float((hue + shift) & 255) * (6.0f / 255.0f);
    const float s = float(saturation) * (1.0f / 255.0f);
    red[i] = from_wheel(5.0f, turned, s, high);
    green[i] = from_wheel(3.0f, turned, s, high);
    blue[i] = from_wheel(1.0f, turned, s, high);
  }
}

void to_gray(Planes& view) {
  std::uint8_t *red = view.plane(0), *green = view.plane(1), *blue = view.plane(2);
  const std::size_t pixels = view.pixels();
#pragma GCC ivdep  // the three planes do not overlap
  for (std::size_t i = 0; i < pixels; ++i) {
    const auto gray = static_cast<std::uint8_t>(gray_of(red[i], green[i], blue[i]));
    red[i] = gray;
    green[i] = gray;
    blue[i] = gray;
  }
}

}  // namespace kindred
