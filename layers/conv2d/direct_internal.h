// What the passes of direct.h share: the scratch image with its border, and the choice of a template by pixel stride.
#pragma once

#include <kindred/engine/error.h>

#include <algorithm>
#include <vector>

namespace kindred::direct {

// One image with zeros around it. Rows are `row` floats apart.
class PaddedImage {
 public:
  // Room for `before` rows and columns of zeros ahead of the image and as many behind as make up the full size.
  PaddedImage(int height, int width, int channels, int before, int full_height, int full_width)
      : height_(height), width_(width), channels_(channels), before_(before), row_(static_cast<std::ptrdiff_t>(full_width) * channels),
        floats_(static_cast<std::size_t>(full_height) * static_cast<std::size_t>(row_)) {}

  // Copies the image; the border stays zero. What would fall outside the full size is left out: no tap reads it.
  void set(const float* image) {
    const std::ptrdiff_t full_height = static_cast<std::ptrdiff_t>(floats_.size()) / row_;
    const std::ptrdiff_t rows = std::min(height_, full_height - before_);
    const std::ptrdiff_t length = std::min(width_ * channels_, row_ - before_ * channels_);
    for (std::ptrdiff_t i = 0; i < rows; ++i)
      std::copy_n(image + i * width_ * channels_, length, floats_.data() + (i + before_) * row_ + before_ * channels_);
  }

  const float* data() const { return floats_.data(); }
  std::ptrdiff_t row() const { return row_; }

 private:
  std::ptrdiff_t height_, width_, channels_, before_, row_;
  std::vector<float> floats_;
};

// Floats between neighbouring pixels that kernels are built for: with the distance known at compile time, every
// pixel's address is the same register plus a constant.
#define KINDRED_DIRECT_PIXEL_STRIDES(X) X(3) X(6) X(16) X(32) X(64) X(128) X(256)

inline bool known_pixel_stride(int floats) {
#define KINDRED_CASE(N) \
  case N: return true;
  switch (floats) { KINDRED_DIRECT_PIXEL_STRIDES(KINDRED_CASE) }
#undef KINDRED_CASE
  return false;
}

bool processor_has_avx512();

}  // namespace kindred::direct
