// Which rows meet which columns in one launch of a SupCon kernel on a GPU.
#pragma once

#include <cstdint>
#include <vector>

namespace kindred::supcon_areas {

// A kernel's tile, in rows and columns, and what it leaves in scratch memory for each row of each segment.
struct Tiling {
  std::int64_t tile_rows, tile_columns;  // the former is a multiple of the latter
  std::int64_t bytes;                    // of a row's part
};

// Rows and columns that a launch takes up. They begin at multiples of tile_rows. Each tile of rows walks over
// the columns in `segments` blocks, which leave parts for the rows: [segments, rows].
//
// In an area of a triangle the columns are rows too. Tiles of columns before a tile of rows are left out; those
// after it give parts for the columns as well, [tiles of rows, columns]; those that cover the same rows do not,
// as every pair is in them both ways round.
struct Area {
  std::int64_t first_row, rows, first_column, columns;
  std::int64_t segments, tiles_per_segment;  // tiles of columns; the last segment may have fewer
};

// Bytes that the parts of one area may take. One tile of rows is always allowed.
struct Scratch {
  std::int64_t of_rows, of_columns;
};

struct Segments {
  std::int64_t count, tiles;
};

// The number of segments that should take the least time: that of the longest block times the number of rounds
// in which the GPU takes the blocks. `blocks` is their number without segments; at most `most` segments.
Segments split_columns(std::int64_t columns, std::int64_t tile_columns, std::int64_t blocks, std::int64_t most);

// Areas that hold every pair of a row and a column once; in a triangle every pair of rows, once.
std::vector<Area> rectangle(std::int64_t rows, std::int64_t columns, const Tiling& tiling,
                            const Scratch& scratch);
std::vector<Area> triangle(std::int64_t rows, const Tiling& tiling, const Scratch& scratch);

}  // namespace kindred::supcon_areas
