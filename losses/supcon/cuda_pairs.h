// What a row and a column are to each other, on a GPU; included by the cuda files of this folder alone.
#pragma once

#include <kindred/losses/supcon/cuda_tiles.h>
#include <kindred/losses/supcon/kernels.h>

#include <limits>

namespace kindred::supcon_tiles {

constexpr float infinity = std::numeric_limits<float>::infinity();

// SupConFormula for kernels.
struct Pairs {
  float inverse_temperature;
  std::int64_t row_offset;
  const std::uint8_t* mask;  // [images, images], or null
  std::int64_t images;
  std::int32_t ring;  // 0: no cap
};

enum class Kind { none, positive, negative };

// What the row, which may lie past the end, stands for in kind_of: its label, its image in the
// mask, and with a cap its places on the ring.
struct Member {
  std::int64_t row;
  std::int32_t label, in_mask, place, image, reach;
};

// `general`: there is a mask or a cap. Without, labels alone decide, and nothing else is loaded.
template <bool general>
__device__ inline Member member_of(const Rows& rows, std::int64_t row, const Pairs& pairs) {
  Member member{row, 0, 0, 0, 0, 0};
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

// Whether `other`, which matches `anchor`, is left out by the anchor's cap.
__device__ inline bool beyond_cap(const Member& anchor, const Member& other, const Pairs& pairs) {
  if (pairs.ring == 0) return false;
  const std::int32_t away = other.place - anchor.image + (other.place < anchor.image ? pairs.ring : 0);
  return away > anchor.reach;
}

// What `other` is to `anchor`; the two are not one row.
template <bool general>
__device__ inline Kind kind_of(const Member& anchor, const Member& other, const Pairs& pairs) {
  if (!match<general>(anchor, other, pairs)) return Kind::negative;
  if constexpr (general)
    if (beyond_cap(anchor, other, pairs)) return Kind::none;
  return Kind::positive;
}

// What the column of a tile is to its row, or the other way round with `row_is_anchor` false. None where one
// lies past its end, or both are one row.
template <bool general, bool row_is_anchor = true>
__device__ inline Kind kind_in_tile(const Member& row, std::int64_t rows, const Member& column,
                                    std::int64_t columns, const Pairs& pairs) {
  if (row.row >= rows || column.row >= columns || column.row == pairs.row_offset + row.row) return Kind::none;
  return row_is_anchor ? kind_of<general>(row, column, pairs) : kind_of<general>(column, row, pairs);
}

// What this thread's rows and columns of a tile stand for.
template <bool general>
struct TileMembers {
  Member row[rows_each], column[columns_each];

  __device__ TileMembers(const Rows& rows, std::int64_t first_row, const Rows& columns,
                         std::int64_t first_column, const Pairs& pairs) {
#pragma unroll
    for (int r = 0; r < rows_each; ++r) row[r] = member_of<general>(rows, first_row + row_of(r), pairs);
#pragma unroll
    for (int c = 0; c < columns_each; ++c)
      column[c] = member_of<general>(columns, first_column + column_of(c), pairs);
  }
};

}  // namespace kindred::supcon_tiles
