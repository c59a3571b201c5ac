// A decoded picture: 8-bit RGB, rows from top to bottom, channels interleaved.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace kindred {

// A rectangle of pixels. It is not empty if it names a part of a picture.
struct Region {
  int top = 0, left = 0, height = 0, width = 0;

  int bottom() const { return top + height; }  // the first row and column outside of it
  int right() const { return left + width; }
  bool contains(const Region& other) const {
    return top <= other.top && left <= other.left && other.bottom() <= bottom() && other.right() <= right();
  }
};

// The smallest rectangle that contains both.
inline Region bounding(const Region& a, const Region& b) {
  const int top = std::min(a.top, b.top), left = std::min(a.left, b.left);
  return {top, left, std::max(a.bottom(), b.bottom()) - top, std::max(a.right(), b.right()) - left};
}

struct Image {
  int height = 0;
  int width = 0;
  std::vector<std::uint8_t> pixels;  // [height, width, 3] RGB

  Image() = default;
  Image(int rows, int columns)
      : height(rows), width(columns), pixels(std::size_t(rows) * std::size_t(columns) * 3) {}

  // Changes the size and keeps the memory. The values of the pixels are undefined afterwards.
  void resize(int rows, int columns) {
    height = rows;
    width = columns;
    pixels.resize(std::size_t(rows) * std::size_t(columns) * 3);
  }

  bool empty() const { return pixels.empty(); }
  std::uint8_t* pixel(int y, int x) { return pixels.data() + (std::size_t(y) * width + x) * 3; }
  const std::uint8_t* pixel(int y, int x) const { return pixels.data() + (std::size_t(y) * width + x) * 3; }
};

}  // namespace kindred
