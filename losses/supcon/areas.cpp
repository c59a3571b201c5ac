#include <kindred/losses/supcon/areas.h>

#include <algorithm>

namespace kindred::supcon_areas {
namespace {

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// As many whole tiles as fit, and at least one.
std::int64_t whole_tiles(std::int64_t items, std::int64_t tile) {
  return std::max<std::int64_t>(1, items / tile) * tile;
}

Area in_segments(std::int64_t first_row, std::int64_t rows, std::int64_t first_column, std::int64_t columns,
                 const Tiling& tiling, const Scratch& scratch) {
  const Segments segments = split_columns(columns, tiling.tile_columns, divide_up(rows, tiling.tile_rows),
                                          scratch.of_rows / (rows * tiling.bytes));
  return {first_row, rows, first_column, columns, segments.count, segments.tiles};
}

}  // namespace

Segments split_columns(std::int64_t columns, std::int64_t tile_columns, std::int64_t blocks,
                       std::int64_t most) {
  constexpr std::int64_t at_once = 2 * 132;  // blocks on an H200; on others the split is merely not the best
  const std::int64_t tiles = divide_up(columns, tile_columns);
  Segments best{1, tiles};
  for (std::int64_t count = 2; count <= std::min({most, tiles, 4 * at_once}); ++count) {
    const std::int64_t each = divide_up(tiles, count);
    if (divide_up(blocks * count, at_once) * each < divide_up(blocks * best.count, at_once) * best.tiles)
      best = {divide_up(tiles, each), each};
  }
  return best;
}

std::vector<Area> rectangle(std::int64_t rows, std::int64_t columns, const Tiling& tiling,
                            const Scratch& scratch) {
  std::vector<Area> areas;
  const std::int64_t most = whole_tiles(scratch.of_rows / tiling.bytes, tiling.tile_rows);
  for (std::int64_t first = 0; first < rows; first += most)
    areas.push_back(in_segments(first, std::min(most, rows - first), 0, columns, tiling, scratch));
  return areas;
}

std::vector<Area> triangle(std::int64_t rows, const Tiling& tiling, const Scratch& scratch) {
  std::vector<Area> areas;
  const std::int64_t most = whole_tiles(scratch.of_rows / tiling.bytes, tiling.tile_rows);
  const std::int64_t column_parts = scratch.of_columns / tiling.bytes;
  for (std::int64_t first = 0, here = 0; first < rows; first += here) {
    // So many tiles of rows that their parts for all columns that are left fit; where those of one tile do not,
    // its columns are taken in turns.
    const std::int64_t left = rows - first;
    here = std::min({most, left, whole_tiles(column_parts / left * tiling.tile_rows, tiling.tile_rows)});
    const std::int64_t tiles = divide_up(here, tiling.tile_rows);
    const bool all_fit = tiles * left <= column_parts;
    const std::int64_t turn =
        all_fit ? left : std::max(here, whole_tiles(column_parts / tiles, tiling.tile_rows));
    for (std::int64_t column = first; column < rows; column += turn)
      areas.push_back(in_segments(first, here, column, std::min(turn, rows - column), tiling, scratch));
  }
  return areas;
}

}  // namespace kindred::supcon_areas
