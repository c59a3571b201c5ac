// Slices of feature rows on their way through a block's shared memory. Only the CUDA files of this folder
// include this header.
//
// A tile's rows and columns are multiplied slice by slice, 32 elements of D at a time. While a block multiplies
// a slice, the next two are on their way, in two stages:
//   1. Asynchronous copies bring a slice of the columns, and of the rows where needed, to shared memory.
//   2. Each thread splits the elements that it has copied itself into what tensor cores read (split_floats.h).
// So of the slices s, s + 1 and s + 2 the first is multiplied, the second is split, and the third is copied. One
// barrier for each slice is enough: it stands between the splitting and the multiplication of a slice, and
// between its multiplication and the next use of its place.
//
// If D is not above 128, a block keeps all of its rows in shared memory for all tiles of a piece. Otherwise the
// rows' slices come with the columns'. The last slices of a tile's columns stay for the second product.
#pragma once

#include <kindred/engine/cuda/async_copy.h>
#include <kindred/engine/cuda/split_floats.h>
#include <kindred/losses/supcon/areas.h>

#include <cstdint>

namespace kindred::supcon_tiles {

using supcon_areas::Area;
using supcon_areas::Pieces;

constexpr int threads = 256;
constexpr int tile_rows = 16 * (threads / cuda::warp);
constexpr int tile_columns = 64;
constexpr int depth = 32;   // elements of D in a slice
constexpr int chunk = 128;  // elements of D of which a block computes gradients
constexpr int chunk_slices = chunk / depth;

using Four = cuda::Pack<float, 4>;

// [count, dim] feature rows, with the corresponding data of SupConRows (kernels.h). cap and terms may be null.
struct Rows {
  const float* features;
  const std::int32_t* labels;
  const std::int32_t* cap;  // [supcon_cap_count, count]
  const float* terms;       // [supcon_term_count, count]
  std::int64_t count, dim;
};

// A thread's position in a slice [count, depth]: it copies four elements of each 32nd row.
constexpr int rows_at_once = threads / (depth / 4);
__device__ inline int slice_row() {
  return static_cast<int>(threadIdx.x) / (depth / 4);
}
__device__ inline int slice_element() {
  return static_cast<int>(threadIdx.x) % (depth / 4) * 4;
}

// In slices of 32 floats without padding, the halves of each odd row are exchanged. So eight lanes that read
// four floats each, of two rows, use all banks.
__device__ constexpr int exchanged(int row, int element) {
  return element ^ (row % 2 * (depth / 2));
}

using RowSlice = float[tile_rows][depth];
using SplitSlice = float[tile_columns][2 * depth];  // big parts, small parts
constexpr int column_stride = depth + 4;            // for the second product, which reads every second row

// How a block uses its dynamic shared memory: two split slices, then slices of rows and of columns.
struct Room {
  std::int32_t columns;     // of a tile: tile_columns, or half of them where a GPU has little shared memory
  std::int32_t row_places;  // slices of rows
  bool keeps_rows;

  // With `of_columns` slices of columns.
  KINDRED_HOST_DEVICE constexpr std::size_t bytes(int of_columns) const {
    const int floats =
        2 * columns * 2 * depth + row_places * tile_rows * depth + of_columns * columns * column_stride;
    return static_cast<std::size_t>(floats) * sizeof(float);
  }
};

// Starts to copy four elements of each of `count` rows, 32 rows apart, to places that are `apart` floats apart.
// What lies past the end becomes zeros. The loops are not unrolled where that would cost registers.
template <int count>
__device__ inline void copy_fours(float* to, int apart, const Rows& from, std::int32_t row,
                                  std::int32_t element) {
  // Rows and their elements are numbered with 32 bits, which makes comparisons twice as fast.
  const auto rows = static_cast<std::int32_t>(from.count), dim = static_cast<std::int32_t>(from.dim);
  const float* start = from.features + row * from.dim + element;
#pragma unroll count <= 2 ? count : 1
  for (int i = 0; i < count; ++i) {
    if (dim % 4 == 0)
      cuda::async_copy<16>(to, start, row < rows && element < dim);
    else
#pragma unroll 1
      for (int e = 0; e < 4; ++e) cuda::async_copy<4>(to + e, start + e, row < rows && element + e < dim);
    to += apart;
    row += rows_at_once;
    start += rows_at_once * from.dim;
  }
}

// The walk of a block through the slices of a piece. `column_places` is 1, or 7 if the last four slices of a
// tile's columns are needed until the next barrier, at which three more are on their way.
template <int column_places>
class Stages {
 public:
  static constexpr int kept_places = chunk_slices + 3;
  static_assert(column_places == 1 || column_places == kept_places);

  // The slices of a tile are taken in an order that ends with the block's own chunk of D, which begins at
  // first_element.
  __device__ Stages(const Rows& rows, const Rows& columns, Room room, int first_element)
      : rows_(rows), columns_(columns), room_(room) {
    const auto all = static_cast<int>(rows.dim + depth - 1) / depth, own = first_element / depth;
    slices = all;
    own_slices = all - own < chunk_slices ? all - own : chunk_slices;
    first_slice_ = (own + own_slices) % all;
    split_ = cuda::dynamic_shared<float>();
    row_slices_ = split_ + 2 * room.columns * 2 * depth;
    column_slices_ = row_slices_ + room.row_places * tile_rows * depth;
  }

  int slices, own_slices;  // of a tile, and those of the chunk among them

  // Begins a piece. All threads of the block must call it, as they must everything below.
  __device__ void begin(const Pieces& piece, std::int64_t first_row) {
    piece_ = &piece;
    first_row_ = static_cast<std::int32_t>(first_row);
    copied_column_ = static_cast<std::int32_t>(piece.first_column);
    copied_slice_ = used_slice_ = column_place_ = row_place_ = parity_ = 0;
    is_first_tile_ = true;
    __syncthreads();  // other threads may still use what the last piece has left
    under_way_ = copy_next(0);
    split_next(0, 0);
    under_way_ = copy_next(1);
    __syncthreads();
  }

  // Calls multiply(slice of rows, split slice of columns) and goes on to the next slice. Ends with a barrier.
  template <typename Multiply>
  __device__ void next(Multiply&& multiply) {
    if (under_way_) split_next(1, parity_ ^ 1);
    under_way_ = copy_next(2);
    multiply(row_slice(0), split_slice(parity_));
    __syncthreads();
    parity_ ^= 1;
    column_place_ = column_place(1);
    if (room_.keeps_rows)
      used_slice_ = used_slice_ + 1 < slices ? used_slice_ + 1 : 0;
    else
      row_place_ = row_place_ + 1 < room_.row_places ? row_place_ + 1 : 0;
  }

  // After the last slice of a tile, and until next() ends again: slice i of the chunk, of the tile's columns.
  __device__ const float* own_columns(int i) const {
    const int place = column_place_ - own_slices + i;
    return column_slice(place < 0 ? place + column_places : place);
  }

  // The split slice that next() will overwrite first, free until then.
  __device__ void* free_bytes() const { return split_slice(parity_ ^ 1); }

 private:
  __device__ int column_place(int ahead) const {
    if constexpr (column_places == 1) return 0;
    const int place = column_place_ + ahead;
    return place < column_places ? place : place - column_places;
  }
  __device__ float* column_slice(int place) const {
    return column_slices_ + place * room_.columns * column_stride;
  }
  __device__ float (*row_slice(int ahead) const)[depth] {
    int place = room_.keeps_rows ? used_slice_ : row_place_ + ahead;
    if (!room_.keeps_rows && place >= room_.row_places) place -= room_.row_places;
    return reinterpret_cast<float(*)[depth]>(row_slices_ + place * tile_rows * depth);
  }
  __device__ float (*split_slice(int parity) const)[2 * depth] {
    return reinterpret_cast<float(*)[2 * depth]>(split_ + parity * room_.columns * 2 * depth);
  }

  // Starts to copy the slice that is `ahead` of the one in use. Returns false if the piece has no more.
  __device__ bool copy_next(int ahead) {
    if (copied_column_ >= static_cast<std::int32_t>(piece_->end_column)) return false;
    const int slice = first_slice_ + copied_slice_;
    const int element = (slice < slices ? slice : slice - slices) * depth + slice_element(), row = slice_row();
    const std::int32_t column = copied_column_ + row;
    float* const to_column = column_slice(column_place(ahead)) + row * column_stride + slice_element();
    if (room_.columns > rows_at_once)
      copy_fours<2>(to_column, rows_at_once * column_stride, columns_, column, element);
    else
      copy_fours<1>(to_column, 0, columns_, column, element);
    if (!room_.keeps_rows || is_first_tile_) {
      float(*const place)[depth] =
          room_.keeps_rows ? reinterpret_cast<float(*)[depth]>(row_slices_ + copied_slice_ * tile_rows * depth)
                           : row_slice(ahead);
      copy_fours<tile_rows / rows_at_once>(&place[row][exchanged(row, slice_element())], rows_at_once * depth,
                                           rows_, first_row_ + row, element);
    }
    if (++copied_slice_ == slices) {
      copied_slice_ = 0;
      is_first_tile_ = false;
      copied_column_ = static_cast<std::int32_t>(piece_->tile_end(copied_column_));
    }
    return true;
  }

  // Waits for this thread's copies, and splits its part of the columns.
  __device__ void split_next(int ahead, int parity) {
    cuda::wait_for_copies();
    const float* const from = column_slice(column_place(ahead)) + slice_row() * column_stride + slice_element();
    float(*const to)[2 * depth] = split_slice(parity);
    split_four(from, to[slice_row()]);
    if (room_.columns > rows_at_once)
      split_four(from + rows_at_once * column_stride, to[slice_row() + rows_at_once]);
  }
  __device__ static void split_four(const float* from, float* to) {
    const cuda::SplitFloats<4> parts(reinterpret_cast<const Four*>(from)->element);
    const int element = exchanged(slice_row(), slice_element());
    Four big, small;
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      big.element[e] = parts.big[e];
      small.element[e] = parts.small[e];
    }
    *reinterpret_cast<Four*>(to + element) = big;
    *reinterpret_cast<Four*>(to + depth + element) = small;
  }

  const Rows &rows_, &columns_;
  Room room_;
  const Pieces* piece_ = nullptr;
  float *split_, *row_slices_, *column_slices_;
  std::int32_t first_row_ = 0;
  std::int32_t copied_column_ = 0;  // the first column of the tile that is copied
  int first_slice_, copied_slice_ = 0, used_slice_ = 0;
  int column_place_ = 0, row_place_ = 0, parity_ = 0;  // of the slice in use
  bool is_first_tile_ = true, under_way_ = false;
};

}  // namespace kindred::supcon_tiles
