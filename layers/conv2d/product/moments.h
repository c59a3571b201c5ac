// Mean and variance of the columns of a product, gathered while its tiles leave the registers. Only .cu files include this
// header.
//
// A warp sees 16 rows of every tile of its block. Each thread adds up, in f32, the deviations from a pivot and their squares:
// the pivot of a column is its first element that the warp sees, so that a mean much larger than the deviation costs no
// precision. At the end of the block the lanes are added in double, in a fixed order, and each warp leaves mean and
// variance of its rows; finish_moments() merges the warps in their order.
#pragma once

#include <kindred/layers/batch_norm/merge.h>
#include <kindred/layers/conv2d/product/tiles.h>

namespace kindred::cuda {

constexpr int warps_with_rows = tile_rows / warp_rows;

// How the rows of y are divided: block b of `blocks` takes the tiles b, b + blocks, ...; a part is what one warp sees.
struct RowParts {
  std::int64_t rows;
  int tiles, blocks;

  __device__ int parts() const { return blocks * warps_with_rows; }
  // The rows of part `part` = block * 8 + warp.
  __device__ std::int64_t rows_of(int part) const {
    const int block = part / warps_with_rows, first = part % warps_with_rows * warp_rows;
    std::int64_t count = std::int64_t{(tiles - 1 - block) / blocks + 1} * warp_rows;
    if ((tiles - 1) % blocks != block) return count;
    const std::int64_t missing = std::int64_t{tiles} * tile_rows - rows - (tile_rows - warp_rows - first);
    return count - std::min<std::int64_t>(std::max<std::int64_t>(missing, 0), warp_rows);
  }
};

// The sums of a thread: columns 8 j + 2 t and the next one, of rows g and g + 8.
template <int columns>
struct Moments {
  float sum[columns / 4] = {}, squares[columns / 4] = {};

  // Adds a pair of columns of one row, rounded to bf16, if the row counts; `pivot` are those of the warp.
  __device__ void add(int j, std::uint32_t pair, Pack<float, 2> pivot, bool counts) {
    const float values[2] = {low_of(pair), high_of(pair)};
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float apart = counts ? values[i] - pivot.element[i] : 0.0f;
      sum[2 * j + i] += apart;
      squares[2 * j + i] = fmaf(apart, apart, squares[2 * j + i]);
    }
  }

  // Writes mean[column] and variance[column] of the warp's `rows` rows. All lanes call it.
  __device__ void write(const float* pivots, std::int64_t rows, double* mean, double* variance) const {
    const int lane = static_cast<int>(threadIdx.x) % warp;
    const double share = rows > 0 ? 1.0 / static_cast<double>(rows) : 0.0;
#pragma unroll
    for (int k = 0; k < columns / 4; ++k) {
      double total = static_cast<double>(sum[k]), total_squares = static_cast<double>(squares[k]);
#pragma unroll
      for (int apart = 4; apart < warp; apart *= 2) {  // lanes with the same columns
        total += __shfl_xor_sync(all_lanes, total, apart);
        total_squares += __shfl_xor_sync(all_lanes, total_squares, apart);
      }
      const int column = k / 2 * 8 + lane % 4 * 2 + k % 2;
      const double shift = total * share, spread = total_squares * share - shift * shift;
      if (lane >= 4) continue;
      mean[column] = rows > 0 ? static_cast<double>(pivots[column]) + shift : 0.0;
      variance[column] = spread < 0 ? 0.0 : spread;  // a NaN stays, so that it is noticed
    }
  }
};

// Merges the parts, f64 [parts, 2, columns], each with its means and then its variances.
void finish_moments(const RowParts& division, const Tensor& parts, Output mean, Output variance);

}  // namespace kindred::cuda
