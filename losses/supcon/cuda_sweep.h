// A sweep of SupCon on a GPU over all pairs of rows and columns; included by the cuda files of this folder
// alone.
//
// Few rows make too few blocks to fill a GPU, so the columns are split into segments, each walked by a block of
// its own that leaves its part in scratch memory. Where the columns are the rows, a tile of logits serves both:
// its columns' sums are parts too. Two more kernels add the parts up in a fixed order: no sum depends on
// timing. What one launch takes up, and how much scratch memory it needs, is laid down in areas.h.
#pragma once

#include <kindred/losses/supcon/areas.h>
#include <kindred/losses/supcon/cuda_pairs.h>

namespace kindred::supcon_tiles {

using supcon_areas::Area;

// Where a launch leaves its parts, which are sums of the type Part. columns is null in a rectangle.
template <typename Part>
struct Parts {
  Part *rows, *columns;
};

__device__ inline std::int64_t first_row_of_block(const Area& area) {
  return area.first_row + std::int64_t{blockIdx.x} * tile_rows;
}

// Calls body(first_column) for the tiles of the segment blockIdx.y; in a triangle, of those from the rows on.
template <typename Body>
__device__ void for_each_tile(const Area& area, bool triangle, Body&& body) {
  const std::int64_t begin = area.first_column + blockIdx.y * area.tiles_per_segment * tile_columns;
  const std::int64_t end =
      std::min(begin + area.tiles_per_segment * tile_columns, area.first_column + area.columns);
  for (std::int64_t first = triangle ? std::max(begin, first_row_of_block(area)) : begin; first < end;
       first += tile_columns)
    body(first);
}

// Adds up the 4 threads of each row and writes the segment's part.
template <typename Part>
__device__ void write_row_parts(Part (&running)[rows_each], const Area& area, Part* parts) {
#pragma unroll
  for (int r = 0; r < rows_each; ++r) {
#pragma unroll
    for (int step = 2; step > 0; step /= 2) running[r].add(running[r].from_lane(step));
    const std::int64_t row = std::int64_t{blockIdx.x} * tile_rows + row_of(r);
    if (cuda::lane_in_group() == 0 && row < area.rows) parts[blockIdx.y * area.rows + row] = running[r];
  }
}

// Each warp's part for each column. Bytes, as shared memory cannot hold what has a constructor.
template <typename Part>
struct WarpParts {
  static constexpr int warps = threads / cuda::warp;
  alignas(Part) unsigned char bytes[warps * tile_columns * sizeof(Part)];

  __device__ Part& at(int warp, int column) {
    return reinterpret_cast<Part*>(bytes)[warp * tile_columns + column];
  }
};

// Adds up the 8 threads that a warp has for each of its columns. sum_of(c) is this thread's part for its column
// c. In each step two lanes that have the same columns share them: each keeps half and gives the other half
// away. In the end lane 4 g + t has columns 8 g + 2 t + c, c = 0 or 1.
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

// Adds up all threads of each column and writes the tile's part. sum_of(c) is what this thread has for its
// column c. Begins with a barrier, as multiply_tile does, which is to come before of_warps is used again.
template <typename Part, typename SumOf>
__device__ void write_column_parts(const Area& area, std::int64_t first_column, WarpParts<Part>& of_warps,
                                   Part* parts, SumOf&& sum_of) {
  __syncthreads();
#pragma unroll
  for (int c = 0; c < 2; ++c)
    of_warps.at(static_cast<int>(threadIdx.x) / cuda::warp,
                8 * cuda::lane_group() + 2 * cuda::lane_in_group() + c) = sum_over_groups<16>(c, sum_of);
  __syncthreads();
  const auto column = static_cast<int>(threadIdx.x);
  const std::int64_t place = first_column - area.first_column + column;
  if (column < tile_columns && place < area.columns) {
    Part sum = of_warps.at(0, column);
    for (int w = 1; w < WarpParts<Part>::warps; ++w) sum.add(of_warps.at(w, column));
    parts[blockIdx.x * area.columns + place] = sum;
  }
}

template <typename Part>
__global__ void begin_kernel(std::int64_t count, Part* sums) {
  const std::int64_t row = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (row < count) sums[row] = Part{};
}

// One warp a row of the area: its segments' parts.
template <typename Part>
__global__ void add_row_parts_kernel(Area area, const Part* parts, Part* sums) {
  const std::int64_t place = (std::int64_t{blockIdx.x} * threads + threadIdx.x) / cuda::warp;
  if (place >= area.rows) return;
  Part sum;
  for (std::int64_t segment = threadIdx.x % cuda::warp; segment < area.segments; segment += cuda::warp)
    sum.add(parts[segment * area.rows + place]);
#pragma unroll
  for (int step = cuda::warp / 2; step > 0; step /= 2) sum.add(sum.from_lane(step));
  if (threadIdx.x % cuda::warp == 0) sums[area.first_row + place].add(sum);
}

// One thread a column of a triangle's area: the parts of the tiles of rows that end before its tile of columns.
template <typename Part>
__global__ void add_column_parts_kernel(Area area, const Part* parts, Part* sums) {
  const std::int64_t place = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (place >= area.columns) return;
  const std::int64_t column = area.first_column + place, tile = column / tile_columns * tile_columns;
  Part sum = sums[column];
  for (std::int64_t b = 0; b * tile_rows < area.rows && area.first_row + (b + 1) * tile_rows <= tile; ++b)
    sum.add(parts[b * area.columns + place]);
  sums[column] = sum;
}

// What the parts of one area may take. A million rows have sums of 29 MB and leave little else below 64.
inline supcon_areas::Scratch scratch_of_sweep(std::int64_t rows) {
#ifdef KINDRED_EMULATE  // small tests meet many areas
  return {std::int64_t{8} << 10, std::int64_t{8} << 10};
#endif
  return rows <= std::int64_t{1} << 18 ? supcon_areas::Scratch{std::int64_t{4} << 20, std::int64_t{24} << 20}
                                       : supcon_areas::Scratch{std::int64_t{1} << 20, std::int64_t{3} << 20};
}

// Sums [rows] of Part over each row's pairs. launch(area, grid, parts) starts a kernel for one area.
template <typename Part, typename Launch>
Tensor sweep(std::int64_t rows, std::int64_t columns, bool triangle, Launch&& launch) {
  const supcon_areas::Tiling tiling{tile_rows, tile_columns, sizeof(Part)};
  const supcon_areas::Scratch scratch = scratch_of_sweep(rows);
  const std::vector<Area> areas = triangle ? supcon_areas::triangle(rows, tiling, scratch)
                                           : supcon_areas::rectangle(rows, columns, tiling, scratch);
  const auto blocks = [](const Area& area) { return cuda::blocks_for(area.rows, tile_rows).x; };
  std::int64_t row_parts = 0, column_parts = 0;
  for (const Area& area : areas) {
    row_parts = std::max(row_parts, area.segments * area.rows);
    column_parts = std::max(column_parts, blocks(area) * area.columns);
  }
  const auto room_for = [](std::int64_t parts) {
    return Tensor::empty({parts, std::int64_t{sizeof(Part)}}, DType::u8, Device::cuda);
  };
  const Tensor sums = room_for(rows), of_rows = room_for(row_parts),
               of_columns = room_for(triangle ? column_parts : 0);
  const Parts<Part> parts{static_cast<Part*>(of_rows.raw()),
                          triangle ? static_cast<Part*>(of_columns.raw()) : nullptr};
  auto* sum = static_cast<Part*>(sums.raw());
  cuda::launch(begin_kernel<Part>, cuda::blocks_for(rows, threads), threads, rows, sum);
  for (const Area& area : areas) {
    launch(area, dim3(blocks(area), static_cast<unsigned>(area.segments)), parts);
    cuda::launch(add_row_parts_kernel<Part>, cuda::blocks_for(area.rows, threads / cuda::warp), threads, area,
                 parts.rows, sum);
    if (triangle)
      cuda::launch(add_column_parts_kernel<Part>, cuda::blocks_for(area.columns, threads), threads, area,
                   parts.columns, sum);
  }
  return sums;
}

}  // namespace kindred::supcon_tiles
