// How Pillow rounds: shared by the operations on colours and shapes.
#pragma once

#include <algorithm>
#include <cstdint>

namespace kindred {

// ITU-R 601 luma in 16-bit fixed point, Pillow's "L".
inline int gray_of(int red, int green, int blue) {
  return (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16;
}

// Pillow truncates after clipping.
inline std::uint8_t clip(float value) {
  return static_cast<std::uint8_t>(static_cast<int>(std::min(std::max(value, 0.0f), 255.0f)));
}

// from + factor * (to - from), clipped: every enhancement of Pillow is one. factor 1 gives `to`.
inline std::uint8_t blend(int from, int to, float factor) {
  return clip(float(from) + factor * float(to - from));
}

}  // namespace kindred
