// The tiled kernels of SupCon on a GPU or an emulated GPU, against the reference in float64 on the same float32
// features: sizes that no tile divides, rectangular calls, and edge cases. supcon_variants_test.cpp tests the
// variants.
#include "supcon_evaluate.h"

#include "../gpu.h"
#include "../gradcheck/gradcheck.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>

namespace kindred {
namespace {

using namespace supcon_test;
using gradcheck::relative_difference;

TEST_CASE("supcon on cuda: tiles give what the formula gives" * test::needs_gpu) {
  for (const std::int64_t rows : {3, 63, 64, 65, 128, 129, 500}) check_square(Device::cuda, rows, 19, 3);
  for (const std::int64_t dim : {1, 4, 15, 16, 18, 127, 128, 129, 260}) check_square(Device::cuda, 70, dim, 3);
  check_square(Device::cuda, 193, 33, 1);    // all labels alike
  check_square(Device::cuda, 193, 33, 300);  // many anchors without positives
}

TEST_CASE("supcon on cuda: a part of the rows as anchors, shared by few blocks and by many" * test::needs_gpu) {
  check_part(Device::cuda, 330, 20, 0, 130);
  check_part(Device::cuda, 330, 20, 191, 139);
  check_part(Device::cuda, 200, 20, 127, 1);
  check_part(Device::cuda, 1700, 3, 350, 1300);
  const FewBlocks few(3, 0);
  check_part(Device::cuda, 330, 140, 191, 139);
  check_part(Device::cuda, 700, 3, 150, 500);  // a tile of rows for each block, and one for all
}

TEST_CASE("supcon on cuda: contrasts that are never anchors, a queue" * test::needs_gpu) {
  const Side anchors{unit_rows(37, 24), random_labels(37, 3)}, queue{unit_rows(300, 24), random_labels(300, 3)};
  for (const std::int64_t offset : {std::int64_t{300}, std::int64_t{-37}}) {
    SupConFormula formula;
    formula.row_offset = offset;
    check_agreement(anchors, queue, Device::cuda, formula);
  }
  SupConFormula far;
  far.row_offset = std::int64_t{1} << 40;
  check_agreement(queue, anchors, Device::cuda, far);
}

TEST_CASE("supcon on cuda: few blocks and several areas of a sweep" * test::needs_gpu) {
  const std::int64_t rows = gpu().probe().emulated ? 700 : 12000;  // the emulation is slower
  for (const std::int64_t kilobytes : {8, 40}) {  // columns in turns; several tiles of rows on the diagonal
    const FewBlocks few(3, kilobytes << 10);
    check_square(Device::cuda, rows, 3, 10);
  }
  check_square(Device::cuda, rows, 3, 10);
}

// A block's share has one strip to several tiles, and begins and ends anywhere.
TEST_CASE("supcon on cuda: tiles of every width" * test::needs_gpu) {
  for (const std::int64_t blocks : {1, 4, 5, 7, 9, 11, 14, 21}) {
    CAPTURE(blocks);
    const FewBlocks few(blocks, 1 << 20);
    check_square(Device::cuda, 330, 3, 10);
  }
}

TEST_CASE("supcon on cuda: a row alone" * test::needs_gpu) {
  const Side one{{0.6f, 0.8f}, {5}};
  const Outcome outcome = evaluate(one, one, Device::cuda);
  CHECK(outcome.lse[0] == -std::numeric_limits<double>::infinity());
  CHECK(outcome.positives[0] == 0);
  CHECK(outcome.loss == 0);
  CHECK(outcome.loss_over_positives == 0);
  CHECK(outcome.d_anchors == std::vector<double>{0, 0});
}

TEST_CASE("supcon on cuda: no positives anywhere" * test::needs_gpu) {
  Side side{unit_rows(150, 8), {}};
  for (std::int32_t i = 0; i < 150; ++i) side.labels.push_back(i);
  const Outcome outcome = evaluate(side, side, Device::cuda);
  CHECK(outcome.loss == 0);
  CHECK(outcome.loss_over_positives == 0);
  CHECK(outcome.d_anchors == std::vector<double>(150 * 8, 0.0));
}

TEST_CASE("supcon on cuda: the self-similarity is masked before the maximum is taken" * test::needs_gpu) {
  // Some rows have logits of 1e7 with themselves, and up to 1e4 with others.
  Side side{unit_rows(150, 8), random_labels(150, 4)};
  for (const std::size_t row : {0, 70, 149})
    for (std::size_t d = 0; d < 8; ++d) side.features[row * 8 + d] *= 1000;
  side.labels[0] = side.labels[70] = side.labels[149] = 9;
  const Outcome exact = evaluate(side, side, Device::reference);
  const Outcome tiled = evaluate(side, side, Device::cuda);
  CHECK(relative_difference(tiled.lse, exact.lse) < 1e-6);
  CHECK(relative_difference(tiled.losses, exact.losses) < 1e-6);
  CHECK(tiled.positives == exact.positives);
  for (const double value : tiled.d_anchors) CHECK(std::isfinite(value));
}

TEST_CASE("supcon on cuda: what is not finite shows in the loss" * test::needs_gpu) {
  // The NaN of a host, two NaNs with all bits set as on a GPU, and infinity.
  for (const std::uint32_t bits : {0x7fc00000u, 0x7fffffffu, 0xffffffffu, 0x7f800000u}) {
    CAPTURE(bits);
    Side side{unit_rows(150, 8), random_labels(150, 2)};
    side.features[77 * 8 + 3] = std::bit_cast<float>(bits);
    const Outcome outcome = evaluate(side, side, Device::cuda);
    CHECK_FALSE(std::isfinite(outcome.loss));
    // It is a contrast of every other row.
    for (const double loss : outcome.losses) CHECK_FALSE(std::isfinite(loss));
    CHECK_FALSE(std::isfinite(outcome.d_anchors[0]));
  }
}

TEST_CASE("supcon on cuda: two runs are equal to the bit" * test::needs_gpu) {
  const Side side{unit_rows(300, 20), random_labels(300, 10)};
  const FewBlocks few(5, 40 << 10);
  const Outcome once = evaluate(side, side, Device::cuda), again = evaluate(side, side, Device::cuda);
  CHECK(once.loss == again.loss);
  CHECK(once.lse == again.lse);
  CHECK(once.d_anchors == again.d_anchors);
}

}  // namespace
}  // namespace kindred
