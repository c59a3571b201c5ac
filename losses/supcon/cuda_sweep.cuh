// A sweep of SupCon on a GPU over all pairs of rows and columns. Only the CUDA files of this folder include
// this header.
//
// All blocks have the same amount of work (areas.h), so several blocks may process one tile of rows. The block
// that begins it adds to the sums of the rows; the others leave their parts in scratch memory. If the columns
// are the same vectors as the rows, a tile of logits contributes to both, and the sums of its columns are also
// stored as parts. Two more kernels add up the parts in a fixed order, so no sum depends on timing.
#pragma once

#include <kindred/losses/supcon/cuda_pairs.cuh>

namespace kindred::supcon_tiles {

KINDRED_HOST_DEVICE constexpr supcon_areas::Tiling tiling() {
  return {tile_rows, tile_columns};
}

// Where a launch writes its sums, which have the type Part.
template <typename Part>
struct Parts {
  Part* sums;     // for all rows
  Part* rows;     // [blocks, tile_rows]
  Part* columns;  // [row tiles, columns]; null in a rectangle
};

__device__ inline std::int64_t first_row_of(const Area& area, const Pieces& piece) {
  return area.first_row + piece.row_tile * tile_rows;
}

// Adds up the 4 threads of each row. Adds the result to the row's sum, or stores it as the block's part.
template <typename Part>
__device__ void write_row_parts(Part (&running)[rows_each], const Area& area, const Pieces& piece,
                                const Parts<Part>& parts) {
#pragma unroll
  for (int r = 0; r < rows_each; ++r) {
#pragma unroll
    for (int step = 2; step > 0; step /= 2) running[r].add(running[r].from_lane(step));
    const std::int64_t row = piece.row_tile * tile_rows + row_of(r);
    if (cuda::lane_in_group() != 0 || row >= area.rows) continue;
    if (piece.begins_row_tile)
      parts.sums[area.first_row + row].add(running[r]);
    else
      parts.rows[std::int64_t{blockIdx.x} * tile_rows + row_of(r)] = running[r];
  }
}

// The part of each warp for each column. Stored as bytes, because shared memory cannot hold a type with a
// constructor.
template <typename Part>
struct WarpParts {
  static constexpr int warps = threads / cuda::warp;
  alignas(Part) unsigned char bytes[warps * tile_columns * sizeof(Part)];

  __device__ Part& at(int warp, int column) {
    return reinterpret_cast<Part*>(bytes)[warp * tile_columns + column];
  }
};

// Adds up the 8 threads that a warp has for each of its columns. sum_of(c) is this thread's part for its column
// c. In each step two lanes with the same columns share the work: each keeps half of the columns and gives the
// other half away. At the end lane 4 g + t has the columns 8 g + 2 t + c, with c = 0 or 1.
template <int step, typename SumOf>
__device__ auto sum_over_groups(int c, SumOf&& sum_of) {
  if constexpr (step < 4) {
    return sum_of(c);
  } else {
    auto lower = sum_over_groups<step / 2>(c, sum_of);
    auto upper = sum_over_groups<step / 2>(c + step / 2, sum_of);
    const bool keeps_upper = (threadIdx.x & step) != 0;
    auto kept = keeps_upper ? upper : lower;
    const auto given = keeps_upper ? lower : upper;
    kept.add(given.from_lane(step));
    return kept;
  }
}

// Adds up all threads of each of `width` columns and writes the part of the tile. sum_of(c) is this thread's
// sum for its column c. Ends with a barrier.
template <typename Part, typename SumOf>
__device__ void write_column_parts(const Area& area, const Pieces& piece, std::int64_t first_column, int width,
                                   WarpParts<Part>& of_warps, Part* parts, SumOf&& sum_of) {
#pragma unroll
  for (int c = 0; c < 2; ++c)
    of_warps.at(static_cast<int>(threadIdx.x) / cuda::warp,
                8 * cuda::lane_group() + 2 * cuda::lane_in_group() + c) = sum_over_groups<16>(c, sum_of);
  __syncthreads();
  const auto column = static_cast<int>(threadIdx.x);
  if (column < width) {
    Part sum = of_warps.at(0, column);
    for (int w = 1; w < WarpParts<Part>::warps; ++w) sum.add(of_warps.at(w, column));
    parts[piece.row_tile * area.columns + first_column - area.first_column + column] = sum;
  }
  __syncthreads();
}

template <typename Part>
__global__ void begin_kernel(std::int64_t count, Part* sums) {
  const std::int64_t row = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (row < count) sums[row] = Part{};
}

// One warp per row of the area: adds the parts of the blocks that did not begin its tile of rows.
template <typename Part>
__global__ void add_row_parts_kernel(Area area, const Part* parts, Part* sums) {
  const std::int64_t place = (std::int64_t{blockIdx.x} * threads + threadIdx.x) / cuda::warp;
  if (place >= area.rows) return;
  const supcon_areas::Blocks blocks = supcon_areas::blocks_of_row_tile(area, tiling(), place / tile_rows);
  if (blocks.first == blocks.last) return;
  Part sum;
  for (std::int64_t b = blocks.first + 1 + threadIdx.x % cuda::warp; b <= blocks.last; b += cuda::warp)
    sum.add(parts[b * tile_rows + place % tile_rows]);
#pragma unroll
  for (int step = cuda::warp / 2; step > 0; step /= 2) sum.add(sum.from_lane(step));
  if (threadIdx.x % cuda::warp == 0) sums[area.first_row + place].add(sum);
}

// One thread per column of a triangle's area: adds the parts of the tiles of rows that end before it.
template <typename Part>
__global__ void add_column_parts_kernel(Area area, const Part* parts, Part* sums) {
  const std::int64_t place = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (place >= area.columns) return;
  const std::int64_t column = area.first_column + place;
  Part sum = sums[column];
  for (std::int64_t b = 0; b * tile_rows < area.rows && area.first_row + (b + 1) * tile_rows <= column; ++b)
    sum.add(parts[b * area.columns + place]);
  sums[column] = sum;
}

// Other than what Room divides: ColumnMembers, and what CUDA keeps for itself.
constexpr std::size_t other_shared_bytes = 4096;

// How the kernels of this GPU use their shared memory for rows of D elements, with that many slices of columns.
// Where there is too little of it, the rows come anew with each tile, and then the tiles have half the columns.
inline Room room_for(std::int64_t dim, int column_places, bool may_halve) {
  const std::int64_t limit = supcon_areas::limits_for(0).shared_bytes;
  const std::size_t all = limit > 0 ? static_cast<std::size_t>(limit) : cuda::most_shared_bytes();
  const auto fits = [&](const Room& room) { return room.bytes(column_places) + other_shared_bytes <= all; };
  constexpr std::int32_t streamed = 3;
  Room room{tile_columns, dim <= chunk ? chunk_slices : streamed, dim <= chunk};
  if (!fits(room)) room = {tile_columns, streamed, false};
  if (!fits(room) && may_halve) room = {tile_columns / 2, streamed, false};
  return room;
}

// Returns the sums [rows], of type Part, over the pairs of each row. launch(area, parts) starts a kernel of
// area.blocks blocks.
template <typename Part, typename Launch>
Tensor sweep(std::int64_t rows, std::int64_t columns, bool triangle, Launch&& launch) {
  const supcon_areas::Limits limits = supcon_areas::limits_for(rows);
  const std::vector<Area> areas = triangle ? supcon_areas::triangle(rows, tiling(), limits, sizeof(Part))
                                           : supcon_areas::rectangle(rows, columns, tiling(), limits.blocks);
  std::int64_t row_parts = 0, column_parts = 0;
  for (const Area& area : areas) {
    row_parts = std::max(row_parts, supcon_areas::part_rows(area, tiling()));
    column_parts = std::max(column_parts, supcon_areas::row_tiles(area, tiling()) * area.columns);
  }
  const auto room_for = [](std::int64_t parts) {
    return Tensor::empty({parts, std::int64_t{sizeof(Part)}}, DType::u8, Device::cuda);
  };
  const Tensor sums = room_for(rows), of_rows = room_for(row_parts),
               of_columns = room_for(triangle ? column_parts : 0);
  const Parts<Part> parts{static_cast<Part*>(sums.raw()), static_cast<Part*>(of_rows.raw()),
                          triangle ? static_cast<Part*>(of_columns.raw()) : nullptr};
  cuda::launch(begin_kernel<Part>, cuda::blocks_for(rows, threads), threads, rows, parts.sums);
  for (const Area& area : areas) {
    launch(area, parts);
    cuda::launch(add_row_parts_kernel<Part>, cuda::blocks_for(area.rows, threads / cuda::warp), threads, area,
                 parts.rows, parts.sums);
    if (triangle)
      cuda::launch(add_column_parts_kernel<Part>, cuda::blocks_for(area.columns, threads), threads, area,
                   parts.columns, parts.sums);
  }
  return sums;
}

}  // namespace kindred::supcon_tiles
