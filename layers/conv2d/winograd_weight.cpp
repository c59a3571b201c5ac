// Filter gradient: dw = G^T [ sum over tiles (A dy A^T) . (B^T x B) ] G.
#include <kindred/engine/cpu/parallel.h>
#include <kindred/layers/conv2d/winograd.h>

#include <algorithm>
#include <cstddef>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <kindred/layers/conv2d/winograd_weight.cpp>
#include <hwy/foreach_target.h>  // compiles this file for the other kinds of vectors
#include <kindred/layers/conv2d/winograd_internal.h>

HWY_BEFORE_NAMESPACE();
namespace kindred::winograd::HWY_NAMESPACE {
namespace {

// One row of tiles: to[position][tile][channel] = A dy A^T of the four by four outputs of each tile. Outputs
// beyond the image count as zero.
void transform_output_gradients(const ConvShape& s, const float* dy, const TileRow& tiles, float* to,
                                std::ptrdiff_t position_step) {
  const std::int64_t rows = s.h - tiles.row;
  const std::ptrdiff_t next_row = outputs * s.w * s.k;  // one row of tiles, prefetched; a prefetch never faults
  for (std::int64_t tile = 0; tile < tiles.tiles_across; ++tile) {
    const float* start = dy + ((tiles.image * s.h + tiles.row) * s.w + tile * outputs) * s.k;
    const std::int64_t columns = s.w - tile * outputs;
    for (std::int64_t k = 0; k < s.k; k += lanes, start += lanes, to += lanes) {
      Vector half[inputs][outputs];
#pragma GCC unroll 4
      for (int j = 0; j < outputs; ++j) {
        Vector from[outputs], line[inputs];
#pragma GCC unroll 4
        for (int i = 0; i < outputs; ++i) {
          const float* pixel = start + (i * s.w + j) * s.k;
          from[i] = i < rows && j < columns ? load(pixel) : zero();
          __builtin_prefetch(pixel + next_row, 0, 2);
        }
        output_gradient_line(from, line);
#pragma GCC unroll 6
        for (int i = 0; i < inputs; ++i) half[i][j] = line[i];
      }
#pragma GCC unroll 6
      for (int i = 0; i < inputs; ++i) {
        Vector line[inputs];
        output_gradient_line(half[i], line);
#pragma GCC unroll 6
        for (int j = 0; j < inputs; ++j) store(to + (i * inputs + j) * position_step, line[j]);
      }
    }
  }
}

}  // namespace

void backward_weight(const ConvShape& s, const float* x, const float* dy, float* dw, float* scratch) {
  const Tiles tiles(s);
  const Block block(s);
  const Scratch layout(s, block);
  const std::int64_t filters = positions * filter_step(s);
  const int threads = compute_threads();
  float* sums = scratch;  // [thread][position][c][k]
  std::fill_n(sums, threads * filters, 0.0f);
  parallel_ranges(tiles.rows, block.rows, [&](int range, std::int64_t begin, std::int64_t end) {
    float* v = scratch + threads * filters + range * layout.floats;
    float* g = v + layout.x.floats();
    float* lines = g + layout.y.floats();
    for (std::int64_t first = begin; first < end; first += block.rows) {
      const std::int64_t rows = std::min(block.rows, end - first);
      for (std::int64_t r = 0; r < rows; ++r) {
        const TileRow row(tiles, first + r);
        transform_images(s, s.c, x, row, v + r * tiles.across * s.c, layout.x.step, lines);
        transform_output_gradients(s, dy, row, g + r * tiles.across * s.k, layout.y.step);
      }
      // A block has its own sum first, in registers, because a long running sum would lose more to rounding.
      const Product product{s.c, s.k, rows * tiles.across, 1, s.c, s.k, s.k, true};
      for (int p = 0; p < positions; ++p)
        multiply(product, v + p * layout.x.step, g + p * layout.y.step,
                 sums + range * filters + p * filter_step(s));
    }
  });
  transform_filter_gradients_back(s, sums, threads, dw);
}

}  // namespace kindred::winograd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
