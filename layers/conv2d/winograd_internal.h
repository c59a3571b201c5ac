// What the passes of winograd.h share: the positions of tiles, and the change of basis along a line.
// For each kind of vectors (engine/cpu/vectors.h).

#if defined(KINDRED_LAYERS_CONV2D_WINOGRAD_INTERNAL_TARGET) == defined(HWY_TARGET_TOGGLE)
#ifdef KINDRED_LAYERS_CONV2D_WINOGRAD_INTERNAL_TARGET
#undef KINDRED_LAYERS_CONV2D_WINOGRAD_INTERNAL_TARGET
#else
#define KINDRED_LAYERS_CONV2D_WINOGRAD_INTERNAL_TARGET
#endif

#include <kindred/layers/conv2d/register_product.h>
#include <kindred/layers/conv2d/winograd.h>

#include <algorithm>
#include <cstddef>

HWY_BEFORE_NAMESPACE();
namespace kindred::winograd::HWY_NAMESPACE {

using namespace kindred::HWY_NAMESPACE;

constexpr int outputs = 4;                  // of a tile along each axis
constexpr int inputs = 6;                   // outputs + 3 - 1
constexpr int positions = inputs * inputs;  // of a tile in the transformed basis

// The tiles of all images of a convolution, counted image by image and, within an image, by rows of tiles.
// Tiles at the right and bottom edges may extend beyond the image.
struct Tiles {
  explicit Tiles(const ConvShape& s)
      : down((s.h + outputs - 1) / outputs), across((s.w + outputs - 1) / outputs), rows(s.n * down) {}
  std::int64_t down, across, rows;  // rows: the number of rows of tiles in all images
};

// The rows of tiles that are processed together: as many as fit in the L2 cache after the transformation.
struct Block {
  explicit Block(const ConvShape& s);
  std::int64_t rows, tiles;  // tiles is a multiple of product_rows; the last ones may be unused
};

// The transformed images of a block: [position][tile][channel]. The step from one position to the next is an
// odd number of cache lines, so that the 36 stores of a tile do not fall into one cache set.
struct Basis {
  Basis(const Block& block, std::int64_t channels_)
      : channels(channels_), step(block.tiles * channels + lanes) {}
  std::int64_t channels, step;
  std::int64_t floats() const { return positions * step; }
};

// One row of tiles, and where its first outputs lie.
struct TileRow {
  TileRow(const Tiles& tiles, std::int64_t index)
      : image(index / tiles.down), row(index % tiles.down * outputs), tiles_across(tiles.across) {}
  std::int64_t image, row, tiles_across;
};

// Transforms of lines of vectors; every lane is a channel. `from` and `to` are arrays of registers. The
// matrices are those of Lavin and Gray, for the points 0, 1, -1, 2, -2 and infinity.

// to = B^T from
HWY_INLINE void image_line(const Vector (&from)[6], Vector (&to)[6]) {
  const Vector two = broadcast(2), four = broadcast(4), five = broadcast(5);
  const Vector a = hn::NegMulAdd(four, from[2], from[4]), b = hn::NegMulAdd(four, from[1], from[3]);
  const Vector c = hn::Sub(from[4], from[2]), d = hn::Sub(from[3], from[1]);
  to[0] = hn::MulAdd(four, from[0], hn::NegMulAdd(five, from[2], from[4]));
  to[1] = hn::Add(a, b);
  to[2] = hn::Sub(a, b);
  to[3] = hn::MulAdd(two, d, c);
  to[4] = hn::NegMulAdd(two, d, c);
  to[5] = hn::MulAdd(four, from[1], hn::NegMulAdd(five, from[3], from[5]));
}

// to = A^T from
HWY_INLINE void output_line(const Vector (&from)[6], Vector (&to)[4]) {
  const Vector two = broadcast(2), four = broadcast(4), eight = broadcast(8);
  const Vector near = hn::Add(from[1], from[2]), near_odd = hn::Sub(from[1], from[2]);
  const Vector far = hn::Add(from[3], from[4]), far_odd = hn::Sub(from[3], from[4]);
  to[0] = hn::Add(hn::Add(from[0], near), far);
  to[1] = hn::MulAdd(two, far_odd, near_odd);
  to[2] = hn::MulAdd(four, far, near);
  to[3] = hn::MulAdd(eight, far_odd, hn::Add(near_odd, from[5]));
}

// to = A from
HWY_INLINE void output_gradient_line(const Vector (&from)[4], Vector (&to)[6]) {
  const Vector two = broadcast(2), four = broadcast(4);
  const Vector even = hn::Add(from[0], from[2]), odd = hn::Add(from[1], from[3]);
  const Vector far_even = hn::MulAdd(four, from[2], from[0]);
  const Vector far_odd = hn::MulAdd(four, from[3], from[1]);
  to[0] = from[0];
  to[1] = hn::Add(even, odd);
  to[2] = hn::Sub(even, odd);
  to[3] = hn::MulAdd(two, far_odd, far_even);
  to[4] = hn::NegMulAdd(two, far_odd, far_even);
  to[5] = from[3];
}

// Transforms one row of tiles: to[position][tile][channel] = B^T x B of the six by six pixels around each tile,
// with zeros outside the image. `lines` is scratch memory of line_floats(s).
void transform_images(const ConvShape& s, std::int64_t channels, const float* x, const TileRow& tiles,
                      float* to, std::ptrdiff_t position_step, float* lines);
std::int64_t line_floats(const ConvShape& s);

// The scratch memory of one thread.
struct Scratch {
  Scratch(const ConvShape& s, const Block& block)
      : x(block, s.c), y(block, s.k), floats(x.floats() + y.floats() + line_floats(s)) {}
  Basis x, y;
  std::int64_t floats;
};

// From one position of transformed filters to the next, in floats: as for images (Basis).
inline std::ptrdiff_t filter_step(const ConvShape& s) {
  return s.c * s.k + lanes;
}

// u[position][c][k] = G w G^T of all filters. With `turned` it is u[position][k][c], and the filters are rotated by 180
// degrees, because the data gradient is the forward pass of such filters.
void transform_filters(const ConvShape& s, bool turned, const float* w, float* u);
void backward_weight(const ConvShape& s, const float* x, const float* dy, float* dw, float* scratch);
// dw = G^T u G, where u[position][c][k] is the sum of so many arrays, one after the other.
void transform_filter_gradients_back(const ConvShape& s, const float* u, int arrays, float* dw);

}  // namespace kindred::winograd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
