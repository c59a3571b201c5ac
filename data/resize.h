// Bilinear resampling with antialiasing, as Pillow's resize(BILINEAR): the triangle filter is as wide as the
// scale when shrinking, and one pixel wide when enlarging. Weights that fall outside the region are dropped and
// the rest normalised, so that a crop knows nothing of what lies around it (crop first, then resize).
//
// Pillow rounds to 8 bits between the horizontal and the vertical pass, this keeps floats: results differ by at
// most one level.
#pragma once

#include <kindred/data/image.h>
#include <kindred/data/planes.h>

#include <vector>

namespace kindred {

// For one output coordinate: which input coordinates it sums, and with which weights.
struct FilterTap {
  int first = 0;            // first input coordinate, counted from the start of the region
  int count = 0;            // how many from there on, >= 1
  std::size_t weights = 0;  // where its weights begin in ResizeAxis::weights
};

struct ResizeAxis {
  std::vector<FilterTap> taps;  // [outputs]
  std::vector<float> weights;

  // Taps for the outputs [first, first + count) of a resize from `in` to `out` coordinates.
  void compute(int in, int out, int first, int count);
};

// Memory kept from view to view; its content between calls means nothing.
struct ResizeScratch {
  ResizeAxis rows, columns;
  std::vector<float> row;  // [region width, 3]
};

// Resizes `region` of `image` to virtual_height x virtual_width, and of that keeps the square of side out.size
// whose corner is (top, left). Only the rows and columns that it needs are computed. `mirror` writes columns
// right to left.
void resize_region(const Image& image, const Region& region, int virtual_height, int virtual_width, int top,
                   int left, bool mirror, Planes& out, ResizeScratch& scratch);

}  // namespace kindred
