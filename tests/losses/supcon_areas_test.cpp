// The areas of a sweep contain every pair once, fit into the given scratch memory, and give every
// multiprocessor of a GPU about the same work.
#include <kindred/engine/random/philox.h>
#include <kindred/losses/supcon/areas.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace kindred {
namespace {

using namespace supcon_areas;

// How the kernels process an area: how often each pair [row, column] occurs, and whether the parts of a tile of
// rows lie at the expected places.
struct Walk {
  std::int64_t rows, columns;
  Tiling tile;
  bool triangle;
  std::vector<int> met = std::vector<int>(static_cast<std::size_t>(rows * columns));

  void meet(std::int64_t row, std::int64_t column) { ++met[static_cast<std::size_t>(row * columns + column)]; }

  void over(const Area& area) {
    REQUIRE(area.first_row % tile.rows == 0);
    REQUIRE(area.first_column % tile.rows == 0);
    REQUIRE(area.first_row + area.rows <= rows);
    REQUIRE(area.first_column + area.columns <= columns);
    REQUIRE(area.blocks <= strips_of(area, tile));
    REQUIRE(tile.columns % area.strip == 0);
    std::vector<std::int64_t> begun_by(static_cast<std::size_t>(row_tiles(area, tile)), -1), last_of = begun_by;
    const std::int64_t even = strips_of(area, tile) / area.blocks;
    for (std::int64_t block = 0; block < area.blocks; ++block) {
      std::int64_t taken = 0, pieces = 0;
      for (Pieces piece(area, tile, block); piece.next(); ++pieces) {
        const auto t = static_cast<std::size_t>(piece.row_tile);
        if (piece.begins_row_tile) {
          REQUIRE(begun_by[t] == -1);
          begun_by[t] = block;
        } else {
          REQUIRE(pieces == 0);  // so a block writes one part
          REQUIRE(part_rows(area, tile) >= (block + 1) * tile.rows);
          REQUIRE(last_of[t] == block - 1);
        }
        last_of[t] = block;
        REQUIRE(piece.first_column < piece.end_column);
        taken += divide_up(piece.end_column - piece.first_column, area.strip);
        std::int64_t next = piece.first_column;
        piece.for_each_tile([&](std::int64_t first, std::int64_t end) {
          REQUIRE(first == next);
          REQUIRE(first < end);
          REQUIRE(end <= first + tile.columns);
          next = end;
          over(area, area.first_row + piece.row_tile * tile.rows, first, end);
        });
        REQUIRE(next == piece.end_column);
      }
      REQUIRE(taken - even >= 0);
      REQUIRE(taken - even <= 1);
    }
    for (std::int64_t t = 0; t < row_tiles(area, tile); ++t) {
      const Blocks blocks = blocks_of_row_tile(area, tile, t);
      REQUIRE(blocks.first == begun_by[static_cast<std::size_t>(t)]);
      REQUIRE(blocks.last == last_of[static_cast<std::size_t>(t)]);
    }
  }

  // One tile of logits.
  void over(const Area& area, std::int64_t first_row, std::int64_t first_column, std::int64_t end_column) {
    REQUIRE((first_column - area.first_column) % area.strip == 0);
    REQUIRE(end_column <= area.first_column + area.columns);
    for (std::int64_t row = first_row; row < std::min(first_row + tile.rows, area.first_row + area.rows); ++row)
      for (std::int64_t column = first_column; column < end_column; ++column) {
        meet(row, column);
        if (triangle && first_column >= first_row + tile.rows) meet(column, row);
      }
  }
};

bool all_once(const std::vector<Area>& areas, Walk walk) {
  for (const Area& area : areas) walk.over(area);
  return std::all_of(walk.met.begin(), walk.met.end(), [](int times) { return times == 1; });
}

TEST_CASE("supcon's areas: every pair once, whatever the sizes") {
  RandomStream random(7, Purpose::test, 0);
  for (int trial = 0; trial < 400; ++trial) {
    const std::int64_t tile_columns = 1 + random.below(8);
    const Tiling tile{tile_columns * (1 + random.below(3)), tile_columns};
    const Limits limits{1 + random.below(9), random.below(800)};
    const std::int64_t rows = 1 + random.below(60), columns = 1 + random.below(60);
    CAPTURE(trial);
    CHECK(all_once(rectangle(rows, columns, tile, limits.blocks), {rows, columns, tile, false}));
    CHECK(all_once(triangle(rows, tile, limits, 4), {rows, rows, tile, true}));
  }
}

constexpr Tiling of_kernels{128, 64};
constexpr std::int64_t part_bytes = 28;

TEST_CASE("supcon's areas: they keep to their scratch memory") {
  for (const std::int64_t rows : {1, 200, 8192, 65536, 1 << 20}) {
    CAPTURE(rows);
    const Limits limits = limits_for(rows);
    const std::vector<Area> areas = triangle(rows, of_kernels, limits, part_bytes);
    std::int64_t column_bytes = 0, row_bytes = 0;
    for (const Area& area : areas) {
      column_bytes = std::max(column_bytes, row_tiles(area, of_kernels) * area.columns * part_bytes);
      row_bytes = std::max(row_bytes, part_rows(area, of_kernels) * part_bytes);
    }
    CHECK(column_bytes <= limits.column_bytes);
    CHECK(column_bytes + row_bytes + rows * part_bytes < 64 << 20);  // with the sums of all rows
    // Backward, with D = 128 elements a row.
    for (const Area& area : rectangle(rows, rows, of_kernels, limits.blocks))
      CHECK(part_rows(area, of_kernels) * 128 * 4 <= 20 << 20);
    // Small batches in one launch, large ones in launches that fill a GPU.
    if (rows <= 8192) CHECK(areas.size() == 1);
    if (rows == 65536) CHECK(areas.size() <= 30);
  }
}

// The work of a GPU's busiest multiprocessor, if blocks with the given work are started in order: one on each
// multiprocessor, then a second one on each, then one whenever a block ends. The two blocks of a multiprocessor
// share its speed.
std::int64_t busiest(const std::vector<std::int64_t>& blocks) {
  constexpr std::size_t multiprocessors = 132, at_once = blocks_together;
  struct Multiprocessor {
    std::vector<std::int64_t> left;  // of the blocks that it runs
    std::int64_t done = 0;

    std::int64_t shortest() const { return *std::min_element(left.begin(), left.end()); }
    // The time at which its next block ends.
    std::int64_t next_end() const { return done + shortest() * static_cast<std::int64_t>(left.size()); }
  };
  std::array<Multiprocessor, multiprocessors> all;
  std::size_t given = 0;
  for (std::size_t turn = 0; turn < at_once; ++turn)
    for (Multiprocessor& one : all)
      if (given < blocks.size()) one.left.push_back(blocks[given++]);
  for (;;) {
    Multiprocessor* next = nullptr;
    for (Multiprocessor& one : all)
      if (!one.left.empty() && (next == nullptr || one.next_end() < next->next_end())) next = &one;
    if (next == nullptr) break;
    const std::int64_t shortest = next->shortest();
    next->done = next->next_end();
    for (std::int64_t& left : next->left) left -= shortest;
    next->left.erase(std::find(next->left.begin(), next->left.end(), 0));
    if (given < blocks.size()) next->left.push_back(blocks[given++]);
  }
  std::int64_t most = 0;
  for (const Multiprocessor& one : all) most = std::max(most, one.done);
  return most;
}

// The columns that the busiest multiprocessor compares with a tile of rows, over all launches, and an even
// share.
struct Load {
  std::int64_t busiest = 0;
  double even = 0;
};

// With `chunks` blocks for each share, as in the backward pass of long rows.
Load load_of(const std::vector<Area>& areas, std::int64_t chunks) {
  Load load;
  for (const Area& area : areas) {
    std::vector<std::int64_t> blocks;
    const Deal deal(strips_of(area, of_kernels), area.blocks);
    for (std::int64_t block = 0; block < area.blocks; ++block)
      blocks.insert(blocks.end(), static_cast<std::size_t>(chunks),
                    (deal.first_of(block + 1) - deal.first_of(block)) * area.strip);
    load.busiest += busiest(blocks);
    load.even += static_cast<double>(chunks * strips_of(area, of_kernels) * area.strip) / 132;
  }
  return load;
}

// With few rows a multiprocessor gets only two or three strips, so the share is rounded up to whole strips.
void check_even(const std::vector<Area>& areas, std::int64_t rows, std::int64_t chunks = 1) {
  const Load load = load_of(areas, chunks);
  CAPTURE(load.even);
  const double strip = rows < 2048 ? static_cast<double>(areas.front().strip) : 1;
  CHECK(static_cast<double>(load.busiest) <= std::max(1.15 * load.even, std::ceil(load.even / strip) * strip));
}

TEST_CASE("supcon's areas: the busiest multiprocessor of an H200 has at most 1.15 times its share") {
  for (const std::int64_t rows :
       {1000,  1024,  1500,  2047,  2048,  2500,  3000,  4096,  4500,  5000,  6001,  8192,
        10000, 12345, 16384, 20000, 32768, 34000, 40000, 50001, 65536, 65537, 300000}) {
    CAPTURE(rows);
    const Limits limits = limits_for(rows);
    check_even(triangle(rows, of_kernels, limits, part_bytes), rows);
    for (const std::int64_t chunks : {1, 2, 3, 16})  // of D, in backward
      check_even(rectangle(rows, rows, of_kernels, limits.blocks / chunks), rows, chunks);
    check_even(rectangle(rows, 8192, of_kernels, limits.blocks), rows);  // a queue
  }
}

}  // namespace
}  // namespace kindred
