// The kind of each pair of a row and a column, on a GPU. Only the CUDA files of this folder include this
// header.
#pragma once

#include <kindred/losses/supcon/kernels.h>
#include <kindred/losses/supcon/cuda_tiles.cuh>

#include <limits>

namespace kindred::supcon_tiles {

constexpr float infinity = std::numeric_limits<float>::infinity();

// SupConFormula in the form that kernels use.
struct Pairs {
  float inverse_temperature;
  std::int64_t row_offset;
  const std::uint8_t* mask;  // [images, images], or null
  std::int64_t images;
  std::int32_t ring;  // 0: no cap
};

enum class Kind { none, positive, negative };

// What kind_of needs to know of a row, which may lie past the end: its label, its image in the mask, and with a
// cap its places on the ring.
struct Member {
  std::int32_t label, in_mask, place, image, reach;
};

// `general` means that there is a mask or a cap. Otherwise only labels decide, and nothing else is loaded.
template <bool general>
__device__ inline Member member_of(const Rows& rows, std::int64_t row, const Pairs& pairs) {
  Member member{0, 0, 0, 0, 0};
  if constexpr (general) member.in_mask = static_cast<std::int32_t>(row % pairs.images);
  row = std::min(row, rows.count - 1);
  if (rows.labels != nullptr) member.label = rows.labels[row];
  if constexpr (general) {
    if (rows.cap != nullptr) {
      member.place = rows.cap[supcon_place * rows.count + row];
      member.image = rows.cap[supcon_image * rows.count + row];
      member.reach = rows.cap[supcon_reach * rows.count + row];
    }
  }
  return member;
}

template <bool general>
__device__ inline bool match(const Member& a, const Member& b, const Pairs& pairs) {
  if constexpr (general)
    if (pairs.mask != nullptr) return pairs.mask[a.in_mask * pairs.images + b.in_mask] != 0;
  return a.label == b.label;
}

// Returns true if the cap of `anchor` leaves out `other`, which matches it.
__device__ inline bool beyond_cap(const Member& anchor, const Member& other, const Pairs& pairs) {
  if (pairs.ring == 0) return false;
  const std::int32_t away = other.place - anchor.image + (other.place < anchor.image ? pairs.ring : 0);
  return away > anchor.reach;
}

// The kind of `other` as seen from `anchor`. The two must be different rows.
template <bool general>
__device__ inline Kind kind_of(const Member& anchor, const Member& other, const Pairs& pairs) {
  if (!match<general>(anchor, other, pairs)) return Kind::negative;
  if constexpr (general)
    if (beyond_cap(anchor, other, pairs)) return Kind::none;
  return Kind::positive;
}

// The bit of one pair in this thread's part of a tile.
__device__ constexpr std::uint32_t bit_of(int r, int c) {
  return 1u << (r * columns_each + c);
}

// Pairs that do not count, because one of them lies past the end of the rows or of the tile's columns, or both
// are the same row. Most tiles have none, and all threads detect this with one test.
__device__ inline std::uint32_t pairs_left_out(std::int64_t first_row, std::int64_t rows,
                                               std::int64_t first_column, std::int64_t end_column,
                                               const Pairs& pairs) {
  const std::int64_t apart = first_column - (pairs.row_offset + first_row);
  if (first_row + tile_rows <= rows && first_column + tile_columns <= end_column &&
      (apart >= tile_rows || apart <= -tile_columns))
    return 0;
  std::uint32_t bits = 0;
#pragma unroll
  for (int r = 0; r < rows_each; ++r)
#pragma unroll
    for (int c = 0; c < columns_each; ++c) {
      const std::int64_t row = first_row + row_of(r), column = first_column + column_of(c);
      if (row >= rows || column >= end_column || column == pairs.row_offset + row) bits |= bit_of(r, c);
    }
  return bits;
}

// The members for this thread's rows.
template <bool general>
struct RowMembers {
  Member row[rows_each];

  __device__ RowMembers(const Rows& rows, std::int64_t first_row, const Pairs& pairs) {
#pragma unroll
    for (int r = 0; r < rows_each; ++r) row[r] = member_of<general>(rows, first_row + row_of(r), pairs);
  }
};

// The same for the columns of a tile, with `Numbers` additional numbers for each, in shared memory for the
// whole block.
template <int Numbers>
struct ColumnMembers {
  std::int32_t label[tile_columns], in_mask[tile_columns], place[tile_columns], image[tile_columns],
      reach[tile_columns];
  float number[Numbers > 0 ? Numbers : 1][tile_columns];

  template <bool general>
  __device__ Member at(int column) const {
    if constexpr (!general) return {label[column], 0, 0, 0, 0};
    return {label[column], in_mask[column], place[column], image[column], reach[column]};
  }
};

// One thread's share of filling ColumnMembers: fetched before a tile's products are computed, and stored after
// them.
template <bool general, int Numbers>
struct ColumnMember {
  Member member;
  float number[Numbers > 0 ? Numbers : 1];

  // numbers(column, i) returns the i-th number of a column, which may lie past the end.
  template <typename NumberOf>
  __device__ ColumnMember(const Rows& columns, std::int64_t first_column, const Pairs& pairs,
                          NumberOf&& numbers) {
    if (threadIdx.x >= tile_columns) return;
    const std::int64_t column = first_column + threadIdx.x;
    member = member_of<general>(columns, column, pairs);
#pragma unroll
    for (int i = 0; i < Numbers; ++i) number[i] = numbers(column, i);
  }

  // Ends with a barrier. There must also have been a barrier since other threads read the data of the last
  // tile.
  __device__ void put(ColumnMembers<Numbers>& shared) const {
    if (threadIdx.x < tile_columns) {
      shared.label[threadIdx.x] = member.label;
      if constexpr (general) {
        shared.in_mask[threadIdx.x] = member.in_mask;
        shared.place[threadIdx.x] = member.place;
        shared.image[threadIdx.x] = member.image;
        shared.reach[threadIdx.x] = member.reach;
      }
#pragma unroll
      for (int i = 0; i < Numbers; ++i) shared.number[i][threadIdx.x] = number[i];
    }
    __syncthreads();
  }
};

// What the pairs in this thread's part of a tile are, seen from the row or from the column.
struct PairKinds {
  std::uint32_t positive = 0, negative = 0;
};

template <bool general, bool row_is_anchor = true, int Numbers>
__device__ inline PairKinds kinds_of(const RowMembers<general>& rows, const ColumnMembers<Numbers>& columns,
                                     std::uint32_t left_out, const Pairs& pairs) {
  PairKinds kinds;
#pragma unroll
  for (int c = 0; c < columns_each; ++c) {
    const Member column = columns.template at<general>(column_of(c));
#pragma unroll
    for (int r = 0; r < rows_each; ++r) {
      const Kind kind = row_is_anchor ? kind_of<general>(rows.row[r], column, pairs)
                                      : kind_of<general>(column, rows.row[r], pairs);
      if (kind == Kind::positive) kinds.positive |= bit_of(r, c);
      if (general && kind == Kind::negative) kinds.negative |= bit_of(r, c);
    }
  }
  if (!general) kinds.negative = ~kinds.positive;
  kinds.positive &= ~left_out;
  kinds.negative &= ~left_out;
  return kinds;
}

}  // namespace kindred::supcon_tiles
