// Everything that SupCon's kernels of a device compute for given anchors and contrasts, from the same float32
// features on every device. The tests of the tiled kernels compare it.
#pragma once

#include <kindred/losses/supcon/kernels.h>

#include <cstdint>
#include <vector>

namespace kindred::supcon_test {

// Values of [rows, dim]; each row has the length 1.
std::vector<float> unit_rows(std::int64_t rows, std::int64_t dim);
std::vector<std::int32_t> random_labels(std::int64_t rows, std::uint32_t classes);

struct Side {
  std::vector<float> features;  // [labels.size(), dim]
  std::vector<std::int32_t> labels;
};

struct Outcome {
  double loss, weight, loss_over_positives;  // the second with a scale of 3
  std::vector<double> losses, lse, d_anchors, d_contrasts;
  std::vector<std::int32_t> positives, negatives;
};

// The upstream gradient is 0.75. The contrasts are also anchors only if both are the same object.
// `count` anchors, -1 for all. d_contrasts is computed only if it is requested.
Outcome evaluate(const Side& anchors, const Side& contrasts, Device device, SupConFormula formula = {},
                 std::int64_t count = -1, bool with_d_contrasts = true);

// Compares `device` with the reference in float64: losses within 1e-6 relative, gradients within 1e-5
// norm-wise.
void check_agreement(const Side& anchors, const Side& contrasts, Device device,
                     const SupConFormula& formula = {}, std::int64_t count = -1);

// check_square: random rows against themselves. check_part: the rows [first, first + count) against all rows.
void check_square(Device device, std::int64_t rows, std::int64_t dim, std::uint32_t classes,
                  const SupConFormula& formula = {});
void check_part(Device device, std::int64_t contrasts, std::int64_t dim, std::int64_t first, std::int64_t count,
                SupConFormula formula = {});

// While it lives, SupCon's kernels on a GPU have few blocks and little scratch memory (losses/supcon/areas.h):
// so even a few rows have several areas, and a block continues from one tile of rows to the next.
struct FewBlocks {
  FewBlocks(std::int64_t blocks, std::int64_t column_bytes);
  ~FewBlocks();
  FewBlocks(const FewBlocks&) = delete;
  FewBlocks& operator=(const FewBlocks&) = delete;
};

}  // namespace kindred::supcon_test
