// The arithmetic of single pixels, with Pillow's rounding. The colour operations on the host and on a GPU share
// it.
#pragma once

#include <kindred/engine/host_device.h>

#include <algorithm>
#include <cstdint>

namespace kindred {

// ITU-R 601 luma in 16-bit fixed point; this is Pillow's mode "L".
KINDRED_HOST_DEVICE inline int gray_of(int red, int green, int blue) {
  return (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16;
}

// As in Pillow, the value is clipped first and then truncated.
KINDRED_HOST_DEVICE inline std::uint8_t clip(float value) {
  return static_cast<std::uint8_t>(static_cast<int>(std::min(std::max(value, 0.0f), 255.0f)));
}

// from + factor * (to - from), clipped. Every enhancement of Pillow has this form. factor 1 gives `to`.
KINDRED_HOST_DEVICE inline std::uint8_t blend(int from, int to, float factor) {
  return clip(float(from) + factor * float(to - from));
}

struct PixelColor {
  std::uint8_t red, green, blue;
};

// v * (1 - s * t), where t says how far the channel is from its full value on the colour wheel. With the hue in
// sixths of a turn and k = (offset + hue) mod 6, t = clamp(min(k, 4 - k), 0, 1). The offsets are red 5, green
// 3, blue 1.
KINDRED_HOST_DEVICE inline std::uint8_t from_wheel(float offset, float sixths, float saturation, float value) {
  float k = offset + sixths;
  k = k >= 6.0f ? k - 6.0f : k;
  const float t = std::min(std::max(std::min(k, 4.0f - k), 0.0f), 1.0f);
  return static_cast<std::uint8_t>(static_cast<int>(value * (1.0f - saturation * t) + 0.5f));
}

// 8-bit hue wraps at 256, in Pillow and here.
KINDRED_HOST_DEVICE inline int hue_steps(float turns) {
  return static_cast<int>(turns * 255.0f);
}

// Rotates the hue by `shift` steps of 1/256. Branches would keep the loop from being vectorised, so both sides
// of every choice are computed. A gray pixel has the range 0; the code divides by 1 instead, and its hue does
// not matter because its saturation is 0.
KINDRED_HOST_DEVICE inline PixelColor shift_hue(PixelColor pixel, int shift) {
  const float r = pixel.red, g = pixel.green, b = pixel.blue;
  const float high = std::max(r, std::max(g, b)), low = std::min(r, std::min(g, b));
  const float range = std::max(high - low, 1.0f);
  const float to_red = (high - r) / range, to_green = (high - g) / range, to_blue = (high - b) / range;
  const float from_green = 2.0f + (to_red - to_blue), from_blue = 4.0f + (to_green - to_red);
  const float sixths = r == high ? to_blue - to_green : (g == high ? from_green : from_blue);
  float turn = sixths / 6.0f;
  turn = turn < 0.0f ? turn + 1.0f : turn;
  // Uses double where Pillow does. In float the product could round up to a whole step that is not quite
  // reached.
  const int hue = static_cast<int>(double(turn) * 255.0);
  const int saturation = static_cast<int>(double((high - low) / std::max(high, 1.0f)) * 255.0);

  const float turned = float((hue + shift) & 255) * (6.0f / 255.0f);
  const float s = float(saturation) * (1.0f / 255.0f);
  return {from_wheel(5.0f, turned, s, high), from_wheel(3.0f, turned, s, high),
          from_wheel(1.0f, turned, s, high)};
}

}  // namespace kindred
