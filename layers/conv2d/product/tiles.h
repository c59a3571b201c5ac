// What the forms of the product share: the tile of a block and how its sums leave the registers. Only .cu files include
// this header.
#pragma once

#include <kindred/engine/cuda/hopper.h>
#include <kindred/engine/dtype.h>
#include <kindred/engine/host_device.h>

#include <type_traits>

namespace kindred::cuda {

// y[rows, out] = x[rows, in] w[out, in]^T
struct ProductSize {
  std::int64_t rows;
  int in, out;
};

constexpr int tile_rows = 128;  // of x and y in a block: 64 for each of its two warpgroups that multiply
constexpr int group_rows = 64, warp_rows = 16, group_threads = 128;

constexpr int x_tile_bytes = tile_rows * tile_row_bytes;
template <int columns>
constexpr int w_tile_bytes = columns * 128;  // tile_row_bytes each

constexpr std::int64_t tiles_of(std::int64_t count, std::int64_t per_tile) {
  return (count + per_tile - 1) / per_tile;
}

// Calls body with the columns of a tile of y, as a type: 128, or 64 if `out` needs it.
template <typename Body>
void with_columns(int out, Body&& body) {
  if (out % 128 == 0) return body(std::integral_constant<int, 128>{});
  body(std::integral_constant<int, 64>{});
}

// The products of one chunk of 64 input channels, both factors in shared memory. `x` begins at the warpgroup's own rows.
template <int columns>
__device__ void multiply_tiles(float (&sums)[columns / 2], const std::byte* x, const std::byte* w,
                               bool is_first) {
  multiply_fence();
#pragma unroll
  for (int step = 0; step < tile_columns / 16; ++step)
    multiply<columns>(sums, tile_descriptor(x, step), tile_descriptor(w, step), !is_first || step > 0);
  multiply_commit();
}

// Writes a warpgroup's sums, straight from registers: four lanes together have 16 bytes of a row.
template <int columns>
__device__ void store_sums(const float (&sums)[columns / 2], BFloat16* y, const ProductSize& size,
                           std::int64_t first_row, int first_column) {
  const int lane = static_cast<int>(threadIdx.x) % warp,
            in_group = static_cast<int>(threadIdx.x) % group_threads;
  const std::int64_t row = first_row + in_group / warp * warp_rows + lane / 4;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    if (row + 8 * half >= size.rows) continue;
    BFloat16* const to = y + (row + 8 * half) * size.out + first_column + lane % 4 * 2;
#pragma unroll
    for (int j = 0; j < columns / 8; ++j)
      *reinterpret_cast<Pack<BFloat16, 2>*>(to + 8 * j) = {BFloat16(sums[4 * j + 2 * half]),
                                                           BFloat16(sums[4 * j + 2 * half + 1])};
  }
}

}  // namespace kindred::cuda
