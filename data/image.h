// A decoded picture: 8-bit RGB, rows from top to bottom, channels interleaved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kindred {

struct Image {
  int height = 0;
  int width = 0;
  std::vector<std::uint8_t> pixels;  // [height, width, 3] RGB

  Image() = default;
  Image(int rows, int columns)
      : height(rows), width(columns), pixels(std::size_t(rows) * std::size_t(columns) * 3) {}

  bool empty() const { return pixels.empty(); }
  std::uint8_t* pixel(int y, int x) { return pixels.data() + (std::size_t(y) * width + x) * 3; }
  const std::uint8_t* pixel(int y, int x) const { return pixels.data() + (std::size_t(y) * width + x) * 3; }
};

}  // namespace kindred
