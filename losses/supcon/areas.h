// Which rows meet which columns in one launch of a SupCon kernel on a GPU, and how its blocks share the work.
//
// Rows and columns are cut into tiles, and a tile of rows meets a tile of columns in a tile of logits. The
// tiles of logits of a launch stand in one line, those of the first tile of rows first, and each block takes
// its share of that line: so all blocks have the same to do, to one tile, and a triangle is shared as evenly as
// a square.
#pragma once

#include <kindred/engine/host_device.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace kindred::supcon_areas {

// A tile's size. The rows are a multiple of the columns.
struct Tiling {
  std::int64_t rows, columns;
};

// Rows and columns that a launch takes up. They begin at multiples of a tile's rows.
//
// Where the columns are rows too, those of a tile of rows begin with the tile itself. So `diagonal`, where the
// area's rows are its first columns: tiles of columns before a tile of rows are left out.
struct Area {
  std::int64_t first_row, rows, first_column, columns;
  bool diagonal;
  std::int64_t blocks;  // no more than there are tiles of logits
};

KINDRED_HOST_DEVICE constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

KINDRED_HOST_DEVICE constexpr std::int64_t row_tiles(const Area& area, Tiling tile) {
  return divide_up(area.rows, tile.rows);
}

// Tiles of columns that the tile of rows leaves out, and tiles of logits that all tiles of rows before it have.
KINDRED_HOST_DEVICE constexpr std::int64_t tiles_left_out(const Area& area, Tiling tile,
                                                          std::int64_t row_tile) {
  return area.diagonal ? row_tile * (tile.rows / tile.columns) : 0;
}
KINDRED_HOST_DEVICE constexpr std::int64_t tiles_before(const Area& area, Tiling tile, std::int64_t row_tile) {
  return row_tile * divide_up(area.columns, tile.columns) -
         tiles_left_out(area, tile, row_tile) * (row_tile - 1) / 2;
}
KINDRED_HOST_DEVICE constexpr std::int64_t tiles_of(const Area& area, Tiling tile) {
  return tiles_before(area, tile, row_tiles(area, tile));
}

// How `tiles` are dealt out: each block has as many, and the first blocks one more where they do not come out
// even. A GPU gives its multiprocessors one block each before it gives any a second: so no two of those meet
// without need.
struct Deal {
  std::int64_t each, one_more;  // tiles; blocks that have one more

  KINDRED_HOST_DEVICE constexpr Deal(std::int64_t tiles, std::int64_t blocks)
      : each(tiles / blocks), one_more(tiles % blocks) {}
  KINDRED_HOST_DEVICE constexpr std::int64_t first_of(std::int64_t block) const {
    return block * each + (block < one_more ? block : one_more);
  }
  KINDRED_HOST_DEVICE constexpr std::int64_t block_of(std::int64_t tile) const {
    const std::int64_t of_larger = one_more * (each + 1);
    return tile < of_larger ? tile / (each + 1) : one_more + (tile - of_larger) / each;
  }
};

// A block's share, in the pieces that each lie in one tile of rows: while (next()) gives them in turn.
//
// What a piece adds to its rows is part of their sum. The piece that begins its tile of rows may be put down
// where that sum is to stand. Another can only be the first of its block: so one place for each block holds all
// the others.
class Pieces {
 public:
  std::int64_t row_tile, first_column, end_column;
  bool begins_row_tile;

  KINDRED_HOST_DEVICE Pieces(const Area& area, Tiling tile, std::int64_t block) : area_(area), tile_(tile) {
    const Deal deal(tiles_of(area, tile), area.blocks);
    next_ = deal.first_of(block);
    end_ = deal.first_of(block + 1);
    next_row_tile_ = next_ / divide_up(area.columns, tile.columns);  // or a later one, on a diagonal
    while (tiles_before(area, tile, next_row_tile_ + 1) <= next_) ++next_row_tile_;
  }

  KINDRED_HOST_DEVICE bool next() {
    if (next_ >= end_) return false;
    row_tile = next_row_tile_++;
    const std::int64_t before = tiles_before(area_, tile_, row_tile),
                       after = tiles_before(area_, tile_, row_tile + 1);
    const std::int64_t skipped = tiles_left_out(area_, tile_, row_tile) - before;
    begins_row_tile = next_ == before;
    first_column = area_.first_column + (next_ + skipped) * tile_.columns;
    next_ = end_ < after ? end_ : after;
    const std::int64_t end = (next_ + skipped) * tile_.columns;
    end_column = area_.first_column + (end < area_.columns ? end : area_.columns);
    return true;
  }

 private:
  const Area& area_;
  Tiling tile_;
  std::int64_t next_, end_;  // tiles of logits
  std::int64_t next_row_tile_;
};

// Rows of the scratch memory for such parts: a tile of them for each block, or none where each has one whole
// tile of rows.
KINDRED_HOST_DEVICE constexpr std::int64_t part_rows(const Area& area, Tiling tile) {
  return !area.diagonal && area.blocks == row_tiles(area, tile) ? 0 : area.blocks * tile.rows;
}

// The blocks whose pieces lie in a tile of rows: first begins it.
struct Blocks {
  std::int64_t first, last;
};
KINDRED_HOST_DEVICE constexpr Blocks blocks_of_row_tile(const Area& area, Tiling tile, std::int64_t row_tile) {
  const Deal deal(tiles_of(area, tile), area.blocks);
  return {deal.block_of(tiles_before(area, tile, row_tile)),
          deal.block_of(tiles_before(area, tile, row_tile + 1) - 1)};
}

// What a launch may take of the GPU.
struct Limits {
  std::int64_t blocks;  // that run at once
  std::int64_t
      column_bytes;  // of the parts that an area's columns get from its tiles of rows, [row tiles, columns]
};
Limits limits_for(std::int64_t rows);
// In place of those, for tests: with little of both, few rows meet many areas, and blocks many tiles of rows.
void set_limits(std::optional<Limits> limits);

// Areas that hold every pair of a row and a column once; in a triangle every pair of rows, once. A column's
// part takes bytes_each.
std::vector<Area> rectangle(std::int64_t rows, std::int64_t columns, Tiling tile, std::int64_t blocks);
std::vector<Area> triangle(std::int64_t rows, Tiling tile, const Limits& limits, std::int64_t bytes_each);

}  // namespace kindred::supcon_areas
