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

// What the row stands for in kind_of: its label and, with a cap, its places.
struct Member {
  std::int64_t row;
  std::int32_t label, place, image, reach;
};

// `general`: there is a mask or a cap. Without, labels alone decide, and nothing else is loaded.
template <bool general>
__device__ inline Member member_of(const Rows& rows, std::int64_t row) {
  row = std::min(row, rows.count - 1);
  Member member{row, 0, 0, 0, 0};
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
    if (pairs.mask != nullptr)
      return pairs.mask[a.row % pairs.images * pairs.images + b.row % pairs.images] != 0;
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

// Calls body(first_column) for the tiles of the segment blockIdx.y.
template <typename Body>
__device__ void for_each_tile(std::int64_t columns, std::int64_t tiles_per_segment, Body&& body) {
  const std::int64_t begin = std::int64_t{blockIdx.y} * tiles_per_segment * tile_columns;
  const std::int64_t end = std::min(begin + tiles_per_segment * tile_columns, columns);
  for (std::int64_t first = begin; first < end; first += tile_columns) body(first);
}

__device__ inline std::int64_t first_row_of_block() {
  return std::int64_t{blockIdx.x} * tile_rows;
}

}  // namespace kindred::supcon_tiles
