// The two matrix products of SupCon on a GPU, in tiles, on tensor cores (engine/cuda/mma.h). Only the CUDA
// files of this folder include this header.
//
// A block of 8 warps owns tile_rows feature rows and processes one tile of tile_columns columns after another:
//   multiply_tile          products[rows, columns] = rows . columns, over all of D
//   add_weighted_columns   sums[rows, chunk of D] += weights[rows, columns] * columns
// Both read slices of the operands from shared memory (cuda_stages.cuh). A warp has 16 rows and all columns.
// Each of its threads has 2 rows x 16 columns of the products, and 2 rows x 32 elements of the sums. The second
// product reads its weights from the registers in which the first one left its results, and the columns from the
// place to which they were copied for the first one.
//
// A sum may be taken in any order, and the rows and columns of a product may be numbered in any way. So the
// elements that mma numbers 0 to 7 are chosen such that a thread reads everything it needs as four neighbours.
// The places in shared memory are chosen to match, so the threads of a warp cause no bank conflicts.
//
// Tensor cores round toward zero, so a sum that is continued in them shrinks (mma.h). Here their sums start at
// zero for every 16 elements of D and for every tile of columns, and are added up as normal floats. According
// to the model of tensor_core.h, a gradient over 65,536 columns is then off by 1e-6 of its length; with sums
// continued in the tensor cores it would be off by 3e-4.
//
// Rows, columns and elements past the end count as zeros, so no size needs to be a multiple of a tile's. A tile
// may have fewer columns. Then most of the work on the missing columns is skipped.
#pragma once

#include <kindred/engine/cuda/mma.h>
#include <kindred/losses/supcon/cuda_stages.cuh>

#include <cstdint>

namespace kindred::supcon_tiles {

// A thread's part of a tile of products, and of the elements of a row's sums.
constexpr int rows_each = 2, columns_each = tile_columns / 4, chunk_each = chunk / 4;

// The positions of a thread's elements in its block's tile and in its chunk.
__device__ inline int row_of(int r) {
  return static_cast<int>(threadIdx.x) / cuda::warp * 16 + 8 * r + cuda::lane_group();
}
// Eight columns of the tile are the c-th ones of a warp's threads; step_of is the first of the eight.
__device__ constexpr int step_of(int c) {
  return c / 2 * 8;
}
__device__ inline int column_of(int c) {
  return step_of(c) + 2 * cuda::lane_in_group() + c % 2;
}
__device__ inline int element_of(int e) {
  return e / 8 * 32 + 8 * cuda::lane_in_group() + e % 8;
}

// c[n] += a b[n] over 16 elements, for the first two of c.
__device__ inline void add_product(float (*c)[4], const cuda::SplitFloats<4> (&a)[2],
                                   const cuda::SplitFloats<2> (&b)[2][2]) {
  float product[2][4] = {};
  cuda::multiply_add(product, a, b);
#pragma unroll
  for (int n = 0; n < 2; ++n)
#pragma unroll
    for (int i = 0; i < 4; ++i) c[n][i] += product[n][i];
}

// ---- products of rows and columns

// Adds the products with the first `columns` columns over one slice of D.
template <int columns>
__device__ inline void add_slice_products(const float (*rows)[depth], const float (*split)[2 * depth],
                                          float (&sums)[tile_columns / 8][4]) {
  constexpr int together = 2;
  // 16 elements at a time: of each row and column this thread takes four, two for each of two mma.
#pragma unroll
  for (int k = 0; k < depth; k += 16) {
    const int mine = exchanged(cuda::lane_group(), k + 4 * cuda::lane_in_group());
    const Four x = *reinterpret_cast<const Four*>(&rows[row_of(0)][mine]);
    const Four y = *reinterpret_cast<const Four*>(&rows[row_of(1)][mine]);
    const cuda::SplitFloats<4> a[2] = {
        cuda::SplitFloats<4>({x.element[0], y.element[0], x.element[1], y.element[1]}),
        cuda::SplitFloats<4>({x.element[2], y.element[2], x.element[3], y.element[3]})};
#pragma unroll
    for (int n = 0; n < columns / 8; n += together) {
      Four big[together], small[together];
#pragma unroll
      for (int i = 0; i < together; ++i) {
        const float* column = split[8 * (n + i) + cuda::lane_group()];
        big[i] = *reinterpret_cast<const Four*>(column + mine);
        small[i] = *reinterpret_cast<const Four*>(column + depth + mine);
      }
      const auto two = [&](int i, int e) {
        return cuda::SplitFloats<2>({big[i].element[e], big[i].element[e + 1]},
                                    {small[i].element[e], small[i].element[e + 1]});
      };
      const cuda::SplitFloats<2> b[2][together] = {{two(0, 0), two(1, 0)}, {two(0, 2), two(1, 2)}};
      add_product(&sums[n], a, b);
    }
  }
}

// Computes this thread's part of the products with `width` columns. Ends with a barrier.
template <int column_places>
__device__ inline void multiply_tile(Stages<column_places>& stages, int width,
                                     float (&products)[rows_each][columns_each]) {
  float sums[tile_columns / 8][4] = {};
#pragma unroll 1
  for (int i = 0; i < stages.slices; ++i)
    stages.next([&](const float(*rows)[depth], const float(*split)[2 * depth]) {
      // Each width is code of its own: tests between the columns would cost whole tiles 8 % more instructions.
      if (width > tile_columns / 2)
        add_slice_products<tile_columns>(rows, split, sums);
      else if (width > tile_columns / 4)
        add_slice_products<tile_columns / 2>(rows, split, sums);
      else
        add_slice_products<tile_columns / 4>(rows, split, sums);
    });
#pragma unroll
  for (int r = 0; r < rows_each; ++r)
#pragma unroll
    for (int c = 0; c < columns_each; ++c) products[r][c] = sums[c / 2][2 * r + c % 2];
}

// ---- sums of weighted columns

// This thread's part of the sums: element_of(e) of row_of(r) is at [e / 8 * 4 + e % 4][2 r + e / 4 % 2].
using Sums = float[chunk / 8][4];

// Adds `width` columns, multiplied by this thread's part of a tile of weights, to its part of the sums over the
// chunk. Weights of other columns must be zeros. Follows multiply_tile() of the same tile.
template <int column_places>
__device__ inline void add_weighted_columns(const float (&weights)[rows_each][columns_each],
                                            const Stages<column_places>& stages, int width, Sums& sums) {
  constexpr int steps = tile_columns / 8;
  // 8 columns in each step. For mma, t and t + 4 are the two columns whose weights this thread has, 2 t and 2 t +
  // 1.
  const auto split_weights = [&](int step) {
    const int c = 2 * step;
    return cuda::SplitFloats<4>({weights[0][c], weights[1][c], weights[0][c + 1], weights[1][c + 1]});
  };
  const cuda::SplitFloats<4> a[steps][1] = {{split_weights(0)}, {split_weights(1)}, {split_weights(2)},
                                            {split_weights(3)}, {split_weights(4)}, {split_weights(5)},
                                            {split_weights(6)}, {split_weights(7)}};
#pragma unroll
  for (int slice = 0; slice < chunk_slices; ++slice) {
    if (slice >= stages.own_slices) break;
    const float* const own =
        stages.own_columns(slice) + 2 * cuda::lane_in_group() * column_stride + 4 * cuda::lane_group();
    float of_tile[depth / 8][4] = {};
#pragma unroll
    for (int step = 0; step < steps; ++step) {
      if (step % 2 == 0 && 8 * step >= width) break;
      const Four x = *reinterpret_cast<const Four*>(own + 8 * step * column_stride);
      const Four y = *reinterpret_cast<const Four*>(own + (8 * step + 1) * column_stride);
#pragma unroll
      for (int half = 0; half < 4; half += 2) {
        const cuda::SplitFloats<2> b[1][2] = {
            {cuda::SplitFloats<2>({x.element[half], y.element[half]}),
             cuda::SplitFloats<2>({x.element[half + 1], y.element[half + 1]})}};
        cuda::multiply_add(&of_tile[half], a[step], b);
      }
    }
#pragma unroll
    for (int n = 0; n < depth / 8; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) sums[slice * (depth / 8) + n][i] += of_tile[n][i];
  }
}

}  // namespace kindred::supcon_tiles
