// The two matrix products of SupCon on a GPU, in tiles, on tensor cores (engine/cuda/mma.h). Only the CUDA
// files of this folder include this header.
//
// A block of 8 warps owns tile_rows feature rows and processes one tile of tile_columns columns after another:
//   multiply_tile          products[rows, columns] = rows . columns, over all of D
//   add_weighted_columns   sums[rows, chunk of D] += weights[rows, columns] * columns
// Both load slices of the operands through shared memory. A warp has 16 rows and all columns. Each of its
// threads has 2 rows x 16 columns of the products, and 2 rows x 32 elements of the sums. The second product
// reads its weights from the registers in which the first one left its results.
//
// A sum may be taken in any order, and the rows and columns of a product may be numbered in any way. So the
// elements that mma numbers 0 to 7 are chosen such that a thread reads everything it needs as four neighbours.
// With the widths of the slices chosen to match, the threads of a warp cause no bank conflicts in shared
// memory.
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

#include <cstdint>

namespace kindred::supcon_tiles {

constexpr int threads = 256;
constexpr int tile_rows = 16 * (threads / cuda::warp);
constexpr int tile_columns = 64;
constexpr int chunk = 128;  // elements of D that a block computes
// A thread's part of a tile of products, and of the elements of a row's sums.
constexpr int rows_each = 2, columns_each = tile_columns / 4, chunk_each = chunk / 4;

using Four = cuda::Pack<float, 4>;

// [count, dim] feature rows, with the corresponding data of SupConRows (kernels.h). cap and terms may be null.
struct Rows {
  const float* features;
  const std::int32_t* labels;
  const std::int32_t* cap;  // [supcon_cap_count, count]
  const float* terms;       // [supcon_term_count, count]
  std::int64_t count, dim;
};

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

__device__ inline Four load_four(const Rows& from, std::int64_t row, std::int64_t d) {
  Four values = {};
  // Rows and their elements are numbered with 32 bits, which makes comparisons twice as fast.
  const int e = static_cast<int>(d), dim = static_cast<int>(from.dim);
  if (static_cast<int>(row) >= static_cast<int>(from.count) || e >= dim) return values;
  const float* start = from.features + row * dim + e;
  if (dim % 4 == 0) return *reinterpret_cast<const Four*>(start);
  for (int i = 0; i < 4; ++i)
    if (e + i < dim) values.element[i] = start[i];
  return values;
}

// A slice of feature rows on its way to shared memory: Count rows, Width elements of each.
template <int Count, int Width>
struct Slice {
  static constexpr int fours = Count * Width / 4 / threads;
  Four four[fours];

  __device__ static int place(int i) { return i * threads + static_cast<int>(threadIdx.x); }
  __device__ static int row(int i) { return place(i) / (Width / 4); }
  __device__ static int element(int i) { return place(i) % (Width / 4) * 4; }

  __device__ Slice(const Rows& from, std::int64_t first_row, std::int64_t first_element) {
#pragma unroll
    for (int i = 0; i < fours; ++i) four[i] = load_four(from, first_row + row(i), first_element + element(i));
  }
  template <int Padded>
  __device__ void store(float (&to)[Count][Padded]) const {
#pragma unroll
    for (int i = 0; i < fours; ++i) *reinterpret_cast<Four*>(&to[row(i)][element(i)]) = four[i];
  }
  // Stores the slice split for tensor cores: [Count][big parts, small parts].
  template <int Padded>
  __device__ void store_split(float (&to)[Count][Padded]) const {
#pragma unroll
    for (int i = 0; i < fours; ++i) {
      const cuda::SplitFloats<4> parts(four[i].element);
      Four big, small;
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        big.element[e] = parts.big[e];
        small.element[e] = parts.small[e];
      }
      *reinterpret_cast<Four*>(&to[row(i)][element(i)]) = big;
      *reinterpret_cast<Four*>(&to[row(i)][Width + element(i)]) = small;
    }
  }
};

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

constexpr int depth = 32;  // elements of D in a slice

// All warps read the columns, so the columns are split when they are stored.
struct alignas(16) ProductSlices {
  float rows[tile_rows][depth + 16];
  float columns[tile_columns][2 * depth + 16];  // big parts, small parts
};

// Adds the products with the first `columns` columns over one slice of D.
template <int columns>
__device__ inline void add_slice_products(const ProductSlices& shared, float (&sums)[tile_columns / 8][4]) {
  constexpr int together = 2;
  // 16 elements at a time: of each row and column this thread takes four, two for each of two mma.
#pragma unroll
  for (int k = 0; k < depth; k += 16) {
    const int mine = k + 4 * cuda::lane_in_group();
    const Four x = *reinterpret_cast<const Four*>(&shared.rows[row_of(0)][mine]);
    const Four y = *reinterpret_cast<const Four*>(&shared.rows[row_of(1)][mine]);
    const cuda::SplitFloats<4> a[2] = {
        cuda::SplitFloats<4>({x.element[0], y.element[0], x.element[1], y.element[1]}),
        cuda::SplitFloats<4>({x.element[2], y.element[2], x.element[3], y.element[3]})};
#pragma unroll
    for (int n = 0; n < columns / 8; n += together) {
      Four big[together], small[together];
#pragma unroll
      for (int i = 0; i < together; ++i) {
        const float(&column)[2 * depth + 16] = shared.columns[8 * (n + i) + cuda::lane_group()];
        big[i] = *reinterpret_cast<const Four*>(&column[mine]);
        small[i] = *reinterpret_cast<const Four*>(&column[depth + mine]);
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

// Computes this thread's part of the products with `width` columns. Begins with a barrier. When it returns,
// other threads may still read `shared`.
__device__ inline void multiply_tile(const Rows& rows, std::int64_t first_row, const Rows& columns,
                                     std::int64_t first_column, int width, ProductSlices& shared,
                                     float (&products)[rows_each][columns_each]) {
  float sums[tile_columns / 8][4] = {};
  for (std::int64_t d = 0; d < rows.dim; d += depth) {
    const Slice<tile_rows, depth> row_slice(rows, first_row, d);
    const Slice<tile_columns, depth> column_slice(columns, first_column, d);
    __syncthreads();
    row_slice.store(shared.rows);
    column_slice.store_split(shared.columns);
    __syncthreads();
    // Each width is code of its own: tests between the columns would cost whole tiles 8 % more instructions.
    if (width > tile_columns / 2)
      add_slice_products<tile_columns>(shared, sums);
    else if (width > tile_columns / 4)
      add_slice_products<tile_columns / 2>(shared, sums);
    else
      add_slice_products<tile_columns / 4>(shared, sums);
  }
#pragma unroll
  for (int r = 0; r < rows_each; ++r)
#pragma unroll
    for (int c = 0; c < columns_each; ++c) products[r][c] = sums[c / 2][2 * r + c % 2];
}

// ---- sums of weighted columns

constexpr int slice_columns = 16;

struct alignas(16) SumSlices {
  float columns[slice_columns][chunk + 4];
};

// This thread's part of the sums: element_of(e) of row_of(r) is at [e / 8 * 4 + e % 4][2 r + e / 4 % 2].
using Sums = float[chunk / 8][4];

// Adds `width` columns, multiplied by this thread's part of a tile of weights, to its part of the sums, whose
// chunk begins at first_element. Weights of other columns must be zeros. Begins with a barrier. When it
// returns, other threads may still read `shared`.
__device__ inline void add_weighted_columns(const float (&weights)[rows_each][columns_each],
                                            const Rows& columns, std::int64_t first_column, int width,
                                            std::int64_t first_element, SumSlices& shared, Sums& sums) {
  Sums of_tile = {};
#pragma unroll
  for (int first = 0; first < tile_columns; first += slice_columns) {
    if (first >= width) break;
    const Slice<slice_columns, chunk> slice(columns, first_column + first, first_element);
    __syncthreads();
    slice.store(shared.columns);
    __syncthreads();
    // Processes 8 columns at a time. For mma, t and t + 4 are the two columns whose weights this thread has, 2
    // t and 2 t + 1.
#pragma unroll
    for (int k = 0; k < slice_columns; k += 8) {
      const int c = (first + k) / 4, even = k + 2 * cuda::lane_in_group();
      const cuda::SplitFloats<4> a[1] = {
          cuda::SplitFloats<4>({weights[0][c], weights[1][c], weights[0][c + 1], weights[1][c + 1]})};
#pragma unroll
      for (int n = 0; n < chunk / 8; n += 4) {
        const int mine = 8 * n + 4 * cuda::lane_group();
        const Four x = *reinterpret_cast<const Four*>(&shared.columns[even][mine]);
        const Four y = *reinterpret_cast<const Four*>(&shared.columns[even + 1][mine]);
#pragma unroll
        for (int half = 0; half < 4; half += 2) {
          const cuda::SplitFloats<2> b[1][2] = {
              {cuda::SplitFloats<2>({x.element[half], y.element[half]}),
               cuda::SplitFloats<2>({x.element[half + 1], y.element[half + 1]})}};
          cuda::multiply_add(&of_tile[n + half], a, b);
        }
      }
    }
  }
#pragma unroll
  for (int n = 0; n < chunk / 8; ++n)
#pragma unroll
    for (int i = 0; i < 4; ++i) sums[n][i] += of_tile[n][i];
}

}  // namespace kindred::supcon_tiles
