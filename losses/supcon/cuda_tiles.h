// The two matrix products of SupCon on a GPU, in tiles; included by the cuda files of this folder alone.
//
// A block of 16 x 16 threads owns tile_rows feature rows and walks over tiles of tile_columns columns:
//   multiply_tile          products[rows, columns] = rows . columns, over all of D
//   add_weighted_columns   sums[rows, chunk of D] += weights[rows, columns] * columns
// Both bring slices of the operands through shared memory, and each thread keeps a small part of the result in
// registers: of a tile of products 8 rows x 4 columns, of the sums 8 rows x 8 of D. Products are those of f32.
// Whoever writes these two for tensor cores need touch nothing else.
//
// Rows, columns and elements past the end count as zeros, so no size needs to be a multiple of a tile's.
#pragma once

#include <kindred/engine/cuda/launch.h>

#include <cstdint>

namespace kindred::supcon_tiles {

constexpr int threads = 256;
constexpr int side = 16;  // threads along the rows, and along the columns
constexpr int tile_rows = 128;
constexpr int tile_columns = 64;
constexpr int chunk = 128;  // elements of D that a block sums
constexpr int depth = 16;   // thickness of a slice
constexpr int rows_each = tile_rows / side, columns_each = tile_columns / side, chunk_each = chunk / side;

using Four = cuda::Pack<float, 4>;

// [count, dim] feature rows, and what SupConRows (kernels.h) says of them; cap and terms may be null.
struct Rows {
  const float* features;
  const std::int32_t* labels;
  const std::int32_t* cap;  // [supcon_cap_count, count]
  const float* terms;       // [supcon_term_count, count]
  std::int64_t count, dim;
};

// Where the parts of a thread lie in its block's tile. In groups of four neighbours, the unit of a 16-byte
// access. The 16 threads of a half warp have the same rows.
__device__ inline int row_of(int r) {
  return r / 4 * (4 * side) + static_cast<int>(threadIdx.x) / side * 4 + r % 4;
}
__device__ inline int column_of(int c) {
  return c / 4 * (4 * side) + static_cast<int>(threadIdx.x) % side * 4 + c % 4;
}

__device__ inline Four load_four(const Rows& from, std::int64_t row, std::int64_t d) {
  Four values = {};
  if (row >= from.count || d >= from.dim) return values;
  const float* start = from.features + row * from.dim + d;
  if (from.dim % 4 == 0) return *reinterpret_cast<const Four*>(start);
  for (int e = 0; e < 4; ++e)
    if (d + e < from.dim) values.element[e] = start[e];
  return values;
}

// N values of a thread, from a row of a shared array that holds the groups in the order of row_of / column_of.
template <int N>
__device__ inline void load_groups(float (&values)[N], const float* row, int group) {
#pragma unroll
  for (int i = 0; i < N; i += 4) {
    const Four four = *reinterpret_cast<const Four*>(row + i * side + 4 * group);
#pragma unroll
    for (int e = 0; e < 4; ++e) values[i + e] = four.element[e];
  }
}

// sums += the outer product of x and y.
template <int M, int N>
__device__ inline void add_outer(float (&sums)[M][N], const float (&x)[M], const float (&y)[N]) {
#pragma unroll
  for (int i = 0; i < M; ++i)
#pragma unroll
    for (int j = 0; j < N; ++j) sums[i][j] += x[i] * y[j];
}

// ---- products of rows and columns

// [depth, tile]: element d of all rows, then element d + 1. The four floats of padding let the transposing
// stores of a warp fall into 32 different banks.
struct alignas(16) ProductSlices {
  float rows[depth][tile_rows + 4];
  float columns[depth][tile_columns + 4];
};

// One slice of Count rows, on its way through registers: it is fetched while the slice before is computed with.
template <int Count>
struct ProductSlice {
  static constexpr int fours = Count * depth / 4 / threads;
  Four four[fours];

  // A warp takes 32 bytes, a memory sector, from each of 16 rows.
  __device__ static int place(int i) { return i * threads + static_cast<int>(threadIdx.x); }
  __device__ static int row(int i) { return place(i) / 2 % Count; }
  __device__ static int element(int i) { return (place(i) / 2 / Count * 2 + place(i) % 2) * 4; }

  __device__ void fetch(const Rows& from, std::int64_t first, std::int64_t d) {
#pragma unroll
    for (int i = 0; i < fours; ++i) four[i] = load_four(from, first + row(i), d + element(i));
  }
  __device__ void store(float (&to)[depth][Count + 4]) const {
#pragma unroll
    for (int i = 0; i < fours; ++i)
#pragma unroll
      for (int e = 0; e < 4; ++e) to[element(i) + e][row(i)] = four[i].element[e];
  }
};

// This thread's part of the products. Begins with a barrier; other threads may still read `shared` at its end.
__device__ inline void multiply_tile(const Rows& rows, std::int64_t first_row, const Rows& columns,
                                     std::int64_t first_column, ProductSlices& shared,
                                     float (&products)[rows_each][columns_each]) {
#pragma unroll
  for (auto& row : products)
#pragma unroll
    for (float& product : row) product = 0;
  ProductSlice<tile_rows> row_slice;
  ProductSlice<tile_columns> column_slice;
  row_slice.fetch(rows, first_row, 0);
  column_slice.fetch(columns, first_column, 0);
  for (std::int64_t d = 0; d < rows.dim; d += depth) {
    __syncthreads();
    row_slice.store(shared.rows);
    column_slice.store(shared.columns);
    __syncthreads();
    row_slice.fetch(rows, first_row, d + depth);
    column_slice.fetch(columns, first_column, d + depth);
#pragma unroll
    for (int k = 0; k < depth; ++k) {
      float x[rows_each], y[columns_each];
      load_groups(x, shared.rows[k], static_cast<int>(threadIdx.x) / side);
      load_groups(y, shared.columns[k], static_cast<int>(threadIdx.x) % side);
      add_outer(products, x, y);
    }
  }
}

// ---- sums of weighted columns

struct alignas(16) SumSlices {
  float weights[tile_columns][tile_rows + 4];  // the whole tile
  float columns[depth][chunk];
};

// Puts this thread's weights where add_weighted_columns reads them. No thread may still read `shared`.
__device__ inline void store_weights(const float (&weights)[rows_each][columns_each], SumSlices& shared) {
#pragma unroll
  for (int c = 0; c < columns_each; ++c)
#pragma unroll
    for (int r = 0; r < rows_each; r += 4)
      *reinterpret_cast<Four*>(&shared.weights[column_of(c)][row_of(r)]) = {
          weights[r][c], weights[r + 1][c], weights[r + 2][c], weights[r + 3][c]};
}

// Adds to this thread's part of the sums, whose chunk begins at first_element. Begins with a barrier, after
// which the weights are read; other threads may still read `shared` at its end.
__device__ inline void add_weighted_columns(const Rows& columns, std::int64_t first_column,
                                            std::int64_t first_element, SumSlices& shared,
                                            float (&sums)[rows_each][chunk_each]) {
  constexpr int fours = depth * chunk / 4 / threads;
  Four slice[fours];
  const auto column = [](int i) { return (i * threads + static_cast<int>(threadIdx.x)) / (chunk / 4); };
  const int element = static_cast<int>(threadIdx.x) % (chunk / 4) * 4;
  const auto fetch = [&](int first) {
#pragma unroll
    for (int i = 0; i < fours; ++i)
      slice[i] = load_four(columns, first_column + first + column(i), first_element + element);
  };
  fetch(0);
  for (int first = 0; first < tile_columns; first += depth) {
    __syncthreads();
#pragma unroll
    for (int i = 0; i < fours; ++i) *reinterpret_cast<Four*>(&shared.columns[column(i)][element]) = slice[i];
    __syncthreads();
    if (first + depth < tile_columns) fetch(first + depth);
#pragma unroll
    for (int k = 0; k < depth; ++k) {
      float x[rows_each], y[chunk_each];
      load_groups(x, shared.weights[first + k], static_cast<int>(threadIdx.x) / side);
      load_groups(y, shared.columns[k], static_cast<int>(threadIdx.x) % side);
      add_outer(sums, x, y);
    }
  }
}

}  // namespace kindred::supcon_tiles
