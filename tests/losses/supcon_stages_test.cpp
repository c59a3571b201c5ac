// The stages in which SupCon's kernels on a GPU bring feature rows to shared memory (losses/supcon/cuda_stages.cuh): rows that
// are kept for all tiles, rows that come anew with each tile, and tiles of half the columns, against the reference in float64.
#include "supcon_evaluate.h"

#include <kindred/engine/random/philox.h>
#include <kindred/losses/supcon/areas.h>

#include "../gpu.h"
#include "../gradcheck/gradcheck.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

namespace kindred {
namespace {

using namespace supcon_test;
using gradcheck::relative_difference;

// While it lives, the kernels have this much shared memory, and a GPU with few blocks.
struct SharedMemory {
  explicit SharedMemory(std::int64_t kilobytes, std::int64_t blocks = 5, std::int64_t backward_blocks = 0) {
    supcon_areas::set_limits(supcon_areas::Limits{blocks, 40 << 10, kilobytes << 10, backward_blocks});
  }
  ~SharedMemory() { supcon_areas::set_limits(std::nullopt); }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
};

// Of an H200, where rows are kept; with too little for that, so rows come anew; and of a GPU of a desktop, where backward
// tiles also have half the columns.
constexpr std::int64_t of_h200 = 227, rows_anew = 150, of_desktop = 99;

TEST_CASE("supcon on cuda: odd numbers of rows, in every amount of shared memory" * test::needs_gpu) {
  for (const std::int64_t kilobytes : {of_h200, rows_anew, of_desktop}) {
    CAPTURE(kilobytes);
    const SharedMemory memory(kilobytes);
    for (const std::int64_t rows : {3, 63, 64, 65, 127, 129}) check_square(Device::cuda, rows, 36, 3);
    check_square(Device::cuda, 1000, 5, 10);
  }
}

// One slice of 32 elements to many, with the last one whole or not, in copies of 16 bytes and of 4.
TEST_CASE("supcon on cuda: rows of any length, in every amount of shared memory" * test::needs_gpu) {
  for (const std::int64_t kilobytes : {of_h200, rows_anew, of_desktop}) {
    CAPTURE(kilobytes);
    const SharedMemory memory(kilobytes, 3);
    for (const std::int64_t dim : {1, 31, 32, 33, 64, 100, 127, 128, 129, 161, 300})
      check_square(Device::cuda, 140, dim, 3);
  }
}

// The last block of a row of blocks continues in the next tile of rows, where the rows that are kept are others.
TEST_CASE("supcon on cuda: a block with several tiles of rows" * test::needs_gpu) {
  for (const std::int64_t backward_blocks : {1, 2, 3, 7}) {
    CAPTURE(backward_blocks);
    const SharedMemory memory(of_h200, 2, backward_blocks);
    check_square(Device::cuda, 600, 40, 7);
  }
}

TEST_CASE("supcon on cuda: variants, denominators and a mask, in little shared memory" * test::needs_gpu) {
  RandomStream random(5, Purpose::test, 3);
  constexpr std::int64_t images = 47;
  std::vector<std::uint8_t> mask(images * images);
  for (std::int64_t i = 0; i < images; ++i)
    for (std::int64_t j = 0; j <= i; ++j)
      mask[static_cast<std::size_t>(i * images + j)] = mask[static_cast<std::size_t>(j * images + i)] =
          random.below(4) == 0;
  for (const std::int64_t kilobytes : {rows_anew, of_desktop})
    for (const SupConVariant variant : {SupConVariant::out, SupConVariant::in})
      for (const SupConDenominator denominator :
           {SupConDenominator::all, SupConDenominator::one_positive, SupConDenominator::only_negatives}) {
        CAPTURE(kilobytes);
        CAPTURE(static_cast<int>(variant));
        CAPTURE(static_cast<int>(denominator));
        const SharedMemory memory(kilobytes);
        SupConFormula formula;
        formula.variant = variant;
        formula.denominator = denominator;
        check_square(Device::cuda, 141, 37, 5, formula);
        formula.mask = Tensor::from(mask, {images, images}, Device::cpu);
        check_square(Device::cuda, 2 * images, 37, 5, formula);
      }
}

// Which way the rows take does not change the order of a sum.
TEST_CASE("supcon on cuda: rows that are kept and rows that come anew give the same bits" * test::needs_gpu) {
  const Side side{unit_rows(333, 100), random_labels(333, 6)};
  const auto outcome_in = [&](std::int64_t kilobytes) {
    const SharedMemory memory(kilobytes);
    return evaluate(side, side, Device::cuda);
  };
  const Outcome kept = outcome_in(of_h200), anew = outcome_in(rows_anew);
  CHECK(kept.loss > 0.1);
  CHECK(std::any_of(kept.d_anchors.begin(), kept.d_anchors.end(), [](double d) { return std::abs(d) > 1e-6; }));
  CHECK(kept.losses == anew.losses);
  CHECK(kept.lse == anew.lse);
  CHECK(kept.d_anchors == anew.d_anchors);
}

// The shares of the backward pass, of whose blocks a multiprocessor runs one at a time.
TEST_CASE("supcon's areas: one backward block for each multiprocessor has at most 1.15 times its share") {
  using namespace supcon_areas;
  constexpr Tiling of_kernels{128, 64};
  const Limits limits = limits_for(8192);
  REQUIRE(limits.backward_blocks == h200_multiprocessors);
  for (const std::int64_t rows : {2048, 3000, 4096, 5000, 8192, 12345, 16384, 34000, 65536, 300000}) {
    CAPTURE(rows);
    std::int64_t busiest = 0, all = 0;
    for (const Area& area : rectangle(rows, rows, of_kernels, limits.backward_blocks, backward_together)) {
      // Of several rounds, all are full.
      REQUIRE((area.blocks <= h200_multiprocessors || area.blocks % h200_multiprocessors == 0));
      const Deal deal(strips_of(area, of_kernels), area.blocks);
      const std::int64_t rounds = divide_up(area.blocks, h200_multiprocessors);
      busiest += rounds * (deal.first_of(1) - deal.first_of(0)) * area.strip;  // the first ones have one more
      all += strips_of(area, of_kernels) * area.strip;
    }
    CHECK(static_cast<double>(busiest) * h200_multiprocessors <= 1.15 * static_cast<double>(all));
  }
}

}  // namespace
}  // namespace kindred
