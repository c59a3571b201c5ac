// The areas of a sweep hold every pair once, in as much scratch memory as they are given.
#include <kindred/engine/philox.h>
#include <kindred/losses/supcon/areas.h>

#include <doctest/doctest.h>

#include <algorithm>

namespace kindred {
namespace {

using namespace supcon_areas;

// How often each pair [row, column] is met, as the kernels walk over an area's tiles.
std::vector<int> times_met(const std::vector<Area>& areas, std::int64_t rows, std::int64_t columns,
                           const Tiling& tiling, bool triangle) {
  std::vector<int> met(static_cast<std::size_t>(rows * columns));
  const auto meet = [&](std::int64_t row, std::int64_t column) {
    ++met[static_cast<std::size_t>(row * columns + column)];
  };
  for (const Area& area : areas) {
    REQUIRE(area.first_row % tiling.tile_rows == 0);
    REQUIRE(area.first_column % tiling.tile_rows == 0);
    REQUIRE(area.first_row + area.rows <= rows);
    REQUIRE(area.first_column + area.columns <= columns);
    REQUIRE((area.segments - 1) * area.tiles_per_segment * tiling.tile_columns < area.columns);
    REQUIRE(area.segments * area.tiles_per_segment * tiling.tile_columns >= area.columns);
    for (std::int64_t i = 0; i < area.rows; ++i)
      for (std::int64_t j = 0; j < area.columns; ++j) {
        const std::int64_t row = area.first_row + i, column = area.first_column + j;
        const std::int64_t row_tile = row / tiling.tile_rows * tiling.tile_rows;
        const std::int64_t column_tile = column / tiling.tile_columns * tiling.tile_columns;
        if (triangle && column_tile < row_tile) continue;
        meet(row, column);
        if (triangle && column_tile >= row_tile + tiling.tile_rows) meet(column, row);
      }
  }
  return met;
}

bool all_once(const std::vector<int>& met) {
  return std::all_of(met.begin(), met.end(), [](int times) { return times == 1; });
}

TEST_CASE("supcon's areas: every pair once, whatever the sizes") {
  RandomStream random(7, Purpose::test, 0);
  for (int trial = 0; trial < 200; ++trial) {
    const std::int64_t tile_columns = 1 + random.below(4);
    const Tiling tiling{tile_columns * (1 + random.below(3)), tile_columns, 4};
    const Scratch scratch{random.below(400), random.below(800)};
    const std::int64_t rows = 1 + random.below(60), columns = 1 + random.below(60);
    CAPTURE(trial);
    CHECK(all_once(times_met(rectangle(rows, columns, tiling, scratch), rows, columns, tiling, false)));
    CHECK(all_once(times_met(triangle(rows, tiling, scratch), rows, rows, tiling, true)));
  }
}

TEST_CASE("supcon's areas: they keep to their scratch memory") {
  const Tiling tiling{128, 64, 28};
  const Scratch scratch{1 << 20, 3 << 20};
  for (const std::int64_t rows : {1, 200, 8192, 65536, 1 << 20}) {
    CAPTURE(rows);
    const std::vector<Area> areas = triangle(rows, tiling, scratch);
    for (const Area& area : areas) {
      REQUIRE(area.segments * area.rows * tiling.bytes <= scratch.of_rows);
      REQUIRE((area.rows + 127) / 128 * area.columns * tiling.bytes <= scratch.of_columns);
    }
    // Small batches in one launch, large ones in launches that fill a GPU.
    if (rows <= 200) CHECK(areas.size() == 1);
    if (rows == 8192) CHECK(areas.size() <= 5);
    for (const Area& area : rectangle(rows, 4096, tiling, scratch))
      REQUIRE(area.segments * area.rows * tiling.bytes <= scratch.of_rows);
  }
}

}  // namespace
}  // namespace kindred
