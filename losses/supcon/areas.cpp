#include <kindred/losses/supcon/areas.h>

#include <algorithm>

namespace kindred::supcon_areas {
namespace {

std::optional<Limits> of_test;

// As many whole tiles as fit, but at least one.
std::int64_t whole_tiles(std::int64_t items, std::int64_t tile) {
  return std::max<std::int64_t>(1, items / tile) * tile;
}

Area shared_by(std::int64_t blocks, Area area, Tiling tile, std::int64_t together) {
  area.strip = tile.columns;
  const std::int64_t strips = strips_in_tile(strips_of(area, tile), divide_up(blocks, together));
  if (tile.columns % strips == 0) area.strip = tile.columns / strips;
  area.blocks = std::min(blocks, strips_of(area, tile));
  return area;
}

}  // namespace

Limits limits_for(std::int64_t rows) {
  if (of_test) return *of_test;
  // The sums of a million rows take 29 MB, so only little of 64 MB is left for the parts.
  return {blocks_together * h200_multiprocessors,
          rows <= std::int64_t{1} << 18 ? std::int64_t{24} << 20 : std::int64_t{3} << 20, 0,
          backward_together * h200_multiprocessors};
}

void set_limits(std::optional<Limits> limits) {
  of_test = limits;
}

std::vector<Area> rectangle(std::int64_t rows, std::int64_t columns, Tiling tile, std::int64_t blocks,
                            std::int64_t together) {
  // While each block has a tile of rows to itself, all blocks read the same columns at the same time, and no
  // sum is split into parts. All blocks share the remaining tiles of rows.
  const std::int64_t in_rounds = divide_up(rows, tile.rows) / blocks * blocks, rest = in_rounds * tile.rows;
  std::vector<Area> areas;
  if (in_rounds > 0) areas.push_back({0, std::min(rest, rows), 0, columns, false, tile.columns, in_rounds});
  if (rest < rows)
    areas.push_back(shared_by(blocks, {rest, rows - rest, 0, columns, false, 0, 0}, tile, together));
  return areas;
}

std::vector<Area> triangle(std::int64_t rows, Tiling tile, const Limits& limits, std::int64_t bytes_each) {
  std::vector<Area> areas;
  const std::int64_t column_parts = limits.column_bytes / bytes_each;
  for (std::int64_t first = 0, here = 0; first < rows; first += here) {
    // Takes as many tiles of rows as possible, such that their parts for all remaining columns fit. If the
    // parts of a single tile of rows do not fit, its columns are split into areas of equal size.
    const std::int64_t left = rows - first;
    here = std::min(left, whole_tiles(column_parts / left * tile.rows, tile.rows));
    std::int64_t turn = left;
    if (divide_up(here, tile.rows) * left > column_parts) {
      const std::int64_t turns = divide_up(left, whole_tiles(column_parts, tile.rows));
      turn = divide_up(divide_up(left, turns), tile.rows) * tile.rows;
    }
    for (std::int64_t column = first; column < rows; column += turn)
      areas.push_back(shared_by(limits.blocks,
                                {first, here, column, std::min(turn, rows - column), column == first, 0, 0},
                                tile, blocks_together));
  }
  return areas;
}

}  // namespace kindred::supcon_areas
