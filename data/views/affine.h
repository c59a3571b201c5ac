// Shears, shifts and rotations of a view, as Pillow's Image.transform and Image.rotate do them, and cutout.
#pragma once

#include <kindred/data/images/planes.h>
#include <kindred/engine/names.h>

namespace kindred {

// How the value at a point between pixels is computed: from the pixel that contains it, or from the four around
// it (truncated to 8 bits, as in Pillow).
enum class Interpolation : std::uint8_t { nearest, bilinear };

inline constexpr Named<Interpolation> interpolation_names[] = {{Interpolation::nearest, "nearest"},
                                                               {Interpolation::bilinear, "bilinear"}};

// The input point of an output point: input x = xx x + xy y + x0, input y = yx x + yy y + y0. Pixel (i, j)
// covers the square [j, j + 1) x [i, i + 1), so its centre is at (j + .5, i + .5).
struct AffineMap {
  double xx = 1, xy = 0, x0 = 0;
  double yx = 0, yy = 1, y0 = 0;
};

// The maps of torchvision's augmentations. A positive shear_x moves lower pixels to the left, a positive
// shear_y moves pixels on the right upwards, both about the corner (0, 0). A positive shift moves the picture
// right or down by whole pixels. A positive angle, in degrees, rotates it anticlockwise about its centre.
AffineMap shear_x_map(double shear);
AffineMap shear_y_map(double shear);
AffineMap translation_map(int right, int down);
AffineMap rotation_map(double degrees, int size);

// Works in place. `before` is memory that is kept from view to view. Pixels from outside the picture become
// `fill` in all three channels.
void warp(Planes& view, const AffineMap& map, Interpolation interpolation, std::uint8_t fill, Planes& before);

// The part of a square of `side` pixels around (row, column) that lies in the view becomes `fill` (DeVries and
// Taylor 2017, arXiv 1708.04552). The square begins at row - side / 2.
void cut_out(Planes& view, int row, int column, int side, std::uint8_t fill);

}  // namespace kindred
