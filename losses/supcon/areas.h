// Which rows and columns one launch of a SupCon kernel on a GPU compares, and how its blocks share the work.
//
// A block compares a tile of rows with a tile of columns at a time. For sharing, the columns are divided into
// strips, each as wide as a tile or a quarter of it. A strip of columns belongs to each tile of rows. All these
// strips of a launch form one sequence, starting with those of the first tile of rows, and each block takes an
// equal share of that sequence. So the work of two blocks differs by at most one strip, and a triangle is
// shared as evenly as a square.
#pragma once

#include <kindred/engine/host_device.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace kindred::supcon_areas {

// The size of a tile. The rows are a multiple of the columns, and the columns of a strip's.
struct Tiling {
  std::int64_t rows, columns;
};

// The rows and columns of a launch. They begin at multiples of a tile's rows.
//
// If the columns are the same vectors as the rows, each pair is needed only once. So in a `diagonal` area,
// whose rows are its first columns, each tile of rows skips the columns before it.
struct Area {
  std::int64_t first_row, rows, first_column, columns;
  bool diagonal;
  std::int64_t strip;   // columns
  std::int64_t blocks;  // at most the number of strips
};

KINDRED_HOST_DEVICE constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

KINDRED_HOST_DEVICE constexpr std::int64_t row_tiles(const Area& area, Tiling tile) {
  return divide_up(area.rows, tile.rows);
}

// The number of strips that the tile of rows skips, and the number of strips of the tiles of rows before it.
KINDRED_HOST_DEVICE constexpr std::int64_t strips_left_out(const Area& area, Tiling tile,
                                                           std::int64_t row_tile) {
  return area.diagonal ? row_tile * (tile.rows / area.strip) : 0;
}
KINDRED_HOST_DEVICE constexpr std::int64_t strips_before(const Area& area, Tiling tile, std::int64_t row_tile) {
  return row_tile * divide_up(area.columns, area.strip) -
         strips_left_out(area, tile, row_tile) * (row_tile - 1) / 2;
}
KINDRED_HOST_DEVICE constexpr std::int64_t strips_of(const Area& area, Tiling tile) {
  return strips_before(area, tile, row_tiles(area, tile));
}

// How `strips` are distributed: every block gets the same number, and the first blocks get one more if the
// division leaves a remainder. A GPU gives each multiprocessor one block before it gives any a second one, so
// blocks with one more strip are spread over the multiprocessors.
struct Deal {
  std::int64_t each, one_more;  // strips; blocks that have one more

  KINDRED_HOST_DEVICE constexpr Deal(std::int64_t strips, std::int64_t blocks)
      : each(strips / blocks), one_more(strips % blocks) {}
  KINDRED_HOST_DEVICE constexpr std::int64_t first_of(std::int64_t block) const {
    return block * each + (block < one_more ? block : one_more);
  }
  KINDRED_HOST_DEVICE constexpr std::int64_t block_of(std::int64_t strip) const {
    const std::int64_t of_larger = one_more * (each + 1);
    return strip < of_larger ? strip / (each + 1) : one_more + (strip - of_larger) / each;
  }
};

// A block's share, split into pieces that each lie in one tile of rows: while (next()) returns them in turn.
//
// A piece contributes to the sums of its rows. The piece that begins its tile of rows may write its part where
// the sum will be. Any other piece can only be the first one of its block, so one scratch slot for each block
// is enough for all of these.
class Pieces {
 public:
  std::int64_t row_tile, first_column, end_column;
  bool begins_row_tile;

  KINDRED_HOST_DEVICE Pieces(const Area& area, Tiling tile, std::int64_t block) : area_(area), tile_(tile) {
    const Deal deal(strips_of(area, tile), area.blocks);
    next_ = deal.first_of(block);
    end_ = deal.first_of(block + 1);
    next_row_tile_ = next_ / divide_up(area.columns, area.strip);  // or a later one in a diagonal area
    while (strips_before(area, tile, next_row_tile_ + 1) <= next_) ++next_row_tile_;
  }

  KINDRED_HOST_DEVICE bool next() {
    if (next_ >= end_) return false;
    row_tile = next_row_tile_++;
    const std::int64_t before = strips_before(area_, tile_, row_tile),
                       after = strips_before(area_, tile_, row_tile + 1);
    const std::int64_t skipped = strips_left_out(area_, tile_, row_tile) - before;
    begins_row_tile = next_ == before;
    first_column = area_.first_column + (next_ + skipped) * area_.strip;
    next_ = end_ < after ? end_ : after;
    const std::int64_t end = (next_ + skipped) * area_.strip;
    end_column = area_.first_column + (end < area_.columns ? end : area_.columns);
    return true;
  }

  // The end of the tile of columns that begins at `first`. A tile of a diagonal area lies either among the
  // columns of the piece's own rows or behind them.
  KINDRED_HOST_DEVICE std::int64_t tile_end(std::int64_t first) const {
    const std::int64_t own_end = area_.diagonal ? area_.first_row + (row_tile + 1) * tile_.rows : first_column;
    std::int64_t end = first + tile_.columns < end_column ? first + tile_.columns : end_column;
    if (first < own_end && own_end < end) end = own_end;
    return end;
  }

  // Calls body(first column, end column) for each tile of columns of the piece.
  template <typename Body>
  KINDRED_HOST_DEVICE void for_each_tile(Body&& body) const {
    for (std::int64_t first = first_column, end = 0; first < end_column; first = end) {
      end = tile_end(first);
      body(first, end);
    }
  }

 private:
  const Area& area_;
  Tiling tile_;
  std::int64_t next_, end_;  // strips
  std::int64_t next_row_tile_;
};

// The number of rows of scratch memory for the parts: one tile of rows for each block, or none if each block
// has exactly one whole tile of rows.
KINDRED_HOST_DEVICE constexpr std::int64_t part_rows(const Area& area, Tiling tile) {
  return !area.diagonal && area.blocks == row_tiles(area, tile) ? 0 : area.blocks * tile.rows;
}

// The blocks whose pieces lie in a tile of rows; the first of them begins it.
struct Blocks {
  std::int64_t first, last;
};
KINDRED_HOST_DEVICE constexpr Blocks blocks_of_row_tile(const Area& area, Tiling tile, std::int64_t row_tile) {
  const Deal deal(strips_of(area, tile), area.blocks);
  return {deal.block_of(strips_before(area, tile, row_tile)),
          deal.block_of(strips_before(area, tile, row_tile + 1) - 1)};
}

// The GPU that work is divided for: an H200. Others compute the same sums, with less even shares.
constexpr std::int64_t h200_multiprocessors = 132;
// The blocks that a multiprocessor runs at the same time: of the forward kernels, and of the backward ones, which
// need more registers and shared memory.
constexpr std::int64_t blocks_together = 2, backward_together = 1;

// The strips into which each of `tiles` is cut: one, unless the busiest multiprocessor would then have over
// 1.15 times its even share. A narrower tile costs more than its part of a whole one, because its rows are
// loaded all the same.
constexpr std::int64_t strips_in_tile(std::int64_t tiles, std::int64_t shares) {
  return 100 * divide_up(tiles, shares) * shares > 115 * tiles ? 4 : 1;
}

// How much of the GPU a launch may use.
struct Limits {
  std::int64_t blocks;        // blocks that run at the same time
  std::int64_t column_bytes;  // for the parts of an area's columns from its tiles of rows, [row tiles, columns]
  // Of shared memory in a block; 0: what the GPU has.
  std::int64_t shared_bytes = 0;
  // The same as `blocks` for the backward pass; 0: as many.
  std::int64_t backward_blocks = 0;
};
Limits limits_for(std::int64_t rows);
// Replaces those limits, for tests. With small limits even few rows need many areas, and a block gets many
// tiles of rows.
void set_limits(std::optional<Limits> limits);

// Areas that together contain every pair of a row and a column exactly once; in a triangle, every pair of rows
// once. A column's part takes bytes_each.
std::vector<Area> rectangle(std::int64_t rows, std::int64_t columns, Tiling tile, std::int64_t blocks,
                            std::int64_t together = blocks_together);
std::vector<Area> triangle(std::int64_t rows, Tiling tile, const Limits& limits, std::int64_t bytes_each);

}  // namespace kindred::supcon_areas
