// What the passes of direct.h share: the scratch image, and the choice of a template by pixel stride.
#pragma once

#include <kindred/engine/kernels/conv_shape.h>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace kindred::direct {

// Prefetches floats that will be read soon, also those of the next image. A prefetch is only a hint and never
// faults.
inline void fetch_ahead(const float* from, std::ptrdiff_t count) {
  constexpr std::ptrdiff_t cache_line = 16;
  for (std::ptrdiff_t i = 0; i < count; i += cache_line) __builtin_prefetch(from + i, 0, 2);
}

// One image with zeros to the left and right of every row, so that no kernel tests for these borders. It has no
// rows above and below the image: kernels skip the taps that would read them.
//
// A row is copied when it is first requested, while the processor is busy with the products of earlier rows. An
// image that needs no border is not copied.
class ScratchImage {
 public:
  // Each row starts with `before` columns of zeros and has full_width columns in all. No tap reads beyond them.
  ScratchImage(std::int64_t height, std::int64_t width, std::int64_t channels, std::int64_t before,
               std::int64_t full_width)
      : height_(height),
        image_row_(width * channels),
        in_place_(before == 0 && full_width <= width),
        row_(in_place_ ? image_row_ : full_width * channels),
        before_(before * channels),
        floats_(in_place_ ? 0 : static_cast<std::size_t>((height + 1) * row_)) {}

  void set(const float* image) {
    image_ = image;
    copied_ = in_place_ ? height_ : 0;
  }

  // Makes the rows [0, end) readable.
  void need(std::ptrdiff_t end) {
    for (; copied_ < end; ++copied_) {
      const float* from = image_ + copied_ * image_row_;
      fetch_ahead(from + rows_ahead * image_row_, image_row_);
      std::copy_n(from, std::min(image_row_, row_ - before_), floats_.data() + copied_ * row_ + before_);
    }
  }

  std::int64_t height() const { return height_; }
  const float* data() const { return in_place_ ? image_ : floats_.data(); }
  std::ptrdiff_t row() const { return row_; }  // floats from one row to the next

 private:
  static constexpr int rows_ahead = 4;
  std::ptrdiff_t height_, image_row_;
  bool in_place_;
  std::ptrdiff_t row_, before_, copied_ = 0;
  const float* image_ = nullptr;
  std::vector<float> floats_;
};

// The distances between neighbouring pixels, in floats, that kernels are compiled for. If the distance is known
// at compile time, the address of every pixel is one register plus a constant.
#define KINDRED_DIRECT_PIXEL_STRIDES(X) X(3) X(6) X(16) X(32) X(64) X(128) X(256)

inline bool known_pixel_stride(std::int64_t floats) {
#define KINDRED_CASE(N) \
  case N:               \
    return true;
  switch (floats) { KINDRED_DIRECT_PIXEL_STRIDES(KINDRED_CASE) }
#undef KINDRED_CASE
  return false;
}

}  // namespace kindred::direct
