// Shears, shifts and turns of a view as Pillow's Image.transform and Image.rotate make them, and cutout.
#pragma once

#include <kindred/data/planes.h>

namespace kindred {

// How a value between pixels is found: of the pixel that it lies in, or between the four around it (truncated
// to 8 bits, as Pillow does).
enum class Interpolation : std::uint8_t { nearest, bilinear };

// Where an output point comes from: input x = xx x + xy y + x0, input y = yx x + yy y + y0. Pixel (i, j) covers
// the square [j, j + 1) x [i, i + 1), so its centre is at (j + .5, i + .5).
struct AffineMap {
  double xx = 1, xy = 0, x0 = 0;
  double yx = 0, yy = 1, y0 = 0;
};

// The maps of torchvision's augmentations. A positive shear moves what is lower to the left (or what is on the
// right up), about the corner (0, 0); a positive shift moves the picture right or down by whole pixels; a
// positive angle, in degrees, turns it anticlockwise about its middle.
AffineMap shear_x_map(double shear);
AffineMap shear_y_map(double shear);
AffineMap translation_map(int right, int down);
AffineMap rotation_map(double degrees, int size);

// In place; `before` is memory, kept from view to view. What comes from outside the picture becomes `fill` in
// all three channels.
void warp(Planes& view, const AffineMap& map, Interpolation interpolation, std::uint8_t fill, Planes& before);

// A square of `side` pixels about (row, column), as far as it lies in the view, becomes `fill` (DeVries and
// Taylor 2017, arXiv 1708.04552). The square begins at row - side / 2.
void cut_out(Planes& view, int row, int column, int side, std::uint8_t fill);

}  // namespace kindred
