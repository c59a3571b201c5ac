// Bilinear resampling with antialiasing, as in Pillow's resize(BILINEAR). The triangle filter is as wide as the
// scale when shrinking, and one pixel wide when enlarging. Weights outside the region are dropped and the rest
// are normalised, so a crop does not depend on the pixels around it (first crop, then resize).
//
// Pillow rounds to 8 bits between the horizontal and the vertical pass, while this code keeps floats. Results
// differ by at most one level.
#pragma once

#include <kindred/data/images/image.h>
#include <kindred/data/images/planes.h>

#include <vector>

namespace kindred {

// For one output coordinate: which input coordinates contribute, and with which weights.
struct FilterTap {
  int first = 0;            // first input coordinate, counted from the start of the region
  int count = 0;            // number of inputs from there on, >= 1
  std::size_t weights = 0;  // index of its first weight in ResizeAxis::weights
};

struct ResizeAxis {
  std::vector<FilterTap> taps;  // [outputs]
  std::vector<float> weights;

  // Computes the taps of the outputs [first, first + count) of a resize from `in` to `out` coordinates.
  void compute(int in, int out, int first, int count);
};

// Memory that is kept from view to view. Its content has no meaning between calls.
struct ResizeScratch {
  ResizeAxis rows, columns;
  std::vector<float> row;  // [region width, 3]
};

// Resizes `region` of `image` to virtual_height x virtual_width and keeps only the square of side out.size
// whose corner is (top, left). Only the rows and columns that this square needs are computed. The corner may be
// negative, and the square larger than the resized region; what lies outside of it is pad_gray (preparation.h).
// `mirror` writes the columns from right to left.
void resize_region(const Image& image, const Region& region, int virtual_height, int virtual_width, int top,
                   int left, bool mirror, Planes& out, ResizeScratch& scratch);

}  // namespace kindred
