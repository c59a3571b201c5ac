// Sums over very many contrasts, and over long rows, on tensor cores that round toward zero
// (engine/cuda/tensor_core.h): a sum that continues through many of their instructions loses a little in each.
#include "supcon_evaluate.h"

#include "../gpu.h"
#include "../gradcheck/gradcheck.h"

#include <doctest/doctest.h>

namespace kindred {
namespace {

using namespace supcon_test;
using gradcheck::relative_difference;

TEST_CASE("supcon on cuda: 64 anchors against 65,536 contrasts, a block for all, keep the promised accuracy" *
          test::needs_gpu) {
  const Side anchors{unit_rows(64, 8), random_labels(64, 10)},
      queue{unit_rows(65536, 8), random_labels(65536, 10)};
  SupConFormula formula;
  formula.row_offset = 65536;
  const FewBlocks one(1, 0);
  const Outcome exact = evaluate(anchors, queue, Device::reference, formula, -1, false);
  const Outcome tiled = evaluate(anchors, queue, Device::cuda, formula, -1, false);
  CHECK(relative_difference(tiled.d_anchors, exact.d_anchors) < 1e-5);
}

// The rows of each class lie around one direction: the cosine of two rows is about a half.
Side close_rows(std::int64_t rows, std::int64_t dim, std::uint32_t classes) {
  Side side{unit_rows(rows, dim), random_labels(rows, classes)};
  const std::vector<float> directions = unit_rows(classes, dim);
  for (std::size_t i = 0; i < side.features.size(); ++i) {
    const std::size_t row = i / static_cast<std::size_t>(dim), d = i % static_cast<std::size_t>(dim);
    side.features[i] =
        (side.features[i] + directions[static_cast<std::size_t>(side.labels[row] * dim) + d]) / 1.4142f;
  }
  return side;
}

TEST_CASE("supcon on cuda: long rows that are much alike keep the promised accuracy" * test::needs_gpu) {
  const Side side = close_rows(48, 1024, 3);
  check_agreement(side, side, Device::cuda);
}

}  // namespace
}  // namespace kindred
