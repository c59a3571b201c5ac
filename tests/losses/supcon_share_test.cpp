// SupCon's kernels as one of many processes calls them (losses/supcon/shared.h): its rows begin anywhere
// among the columns, both are anchors, and further columns may be none. Each device is compared with the
// reference in float64, where the gradient is put together from calls in which only one side is made of
// anchors.
#include <kindred/engine/memory.h>

#include "../gpu.h"
#include "../gradcheck/gradcheck.h"
#include "supcon_evaluate.h"

#include <doctest/doctest.h>

#include <limits>

namespace kindred {
namespace {

using namespace supcon_test;
using gradcheck::relative_difference;

// The process has the rows [first, first + count) of `rows` anchors; `others` more columns are no anchors.
struct Share {
  std::int64_t rows, first, count, others, dim;
};

// Columns [begin, end) of a tensor of a few numbers for each row.
Tensor part_of(const Tensor& numbers, std::int64_t begin, std::int64_t end) {
  if (!numbers.defined()) return {};
  Tensor part = Tensor::empty({numbers.dim(0), end - begin}, numbers.dtype(), numbers.device());
  for (std::int64_t n = 0; n < numbers.dim(0); ++n)
    part.rows(n, n + 1).copy_from(numbers.window(n * numbers.dim(1) + begin, {end - begin}));
  return part;
}

SupConRows part_of(const SupConRows& rows, std::int64_t begin, std::int64_t end) {
  return {.features = rows.features.rows(begin, end),
          .labels = rows.labels.rows(begin, end),
          .cap = part_of(rows.cap, begin, end),
          .terms = part_of(rows.terms, begin, end)};
}

SupConRows without_terms(SupConRows rows) {
  rows.terms = {};
  return rows;
}

// Room for the results of `anchors` of these rows.
void make_anchors(SupConRows& rows, std::int64_t anchors) {
  const Tensor& z = rows.features;
  rows.terms = Tensor::empty({supcon_term_count, z.dim(0)}, z.dtype(), z.device());
  rows.lse = Tensor::empty({anchors}, z.dtype(), z.device());
  rows.positives = Tensor::empty({anchors}, DType::i32, z.device());
  rows.negatives = Tensor::empty({anchors}, DType::i32, z.device());
}

struct Outcomes {
  std::vector<double> losses, gradient;  // of the anchors among the process's rows, of its rows
  std::vector<double> from_parts;        // on reference: the gradient again, from one side at a time
};

// With `half`, only the first half of the anchors' rows are anchors, as with one view of two.
Outcomes evaluate_share(const Share& share, Device device, SupConFormula formula, bool half) {
  MemoryPool& pool = memory_pool(device);
  pool.set_poison(true);
  const DType dtype = device == Device::reference ? DType::f64 : DType::f32;
  const SupConKernels& kernels = supcon_kernels(device);
  const std::int64_t columns = share.rows + share.others, end = share.first + share.count;
  SupConRows all{
      .features =
          Tensor::from(unit_rows(columns, share.dim), {columns, share.dim}, Device::cpu).to(device, dtype),
      .labels = Tensor::from(random_labels(columns, 5), {columns}, device)};
  formula.temperature = 0.1;
  if (formula.ring != 0) {  // without others
    all.cap = Tensor::empty({supcon_cap_count, columns}, DType::i32, device);
    kernels.cap(all.labels, {}, 2, 3, Output(all.cap));
  }

  // The terms of all anchors, and for the other columns those of rows that are none.
  SupConRows anchors = part_of(all, 0, share.rows);
  const std::int64_t count = half ? share.rows / 2 : share.rows;
  make_anchors(anchors, count);
  const Tensor losses = Tensor::empty({count}, dtype, device);
  kernels.forward(anchors, all, formula, Output(losses));
  all.terms =
      Tensor::full({supcon_term_count, columns}, std::numeric_limits<double>::infinity(), dtype, device);
  all.terms.rows(supcon_share, supcon_share + 1)
      .fill(static_cast<double>(no_share(pull_of(formula.variant, formula.denominator))));
  for (std::int64_t term = 0; term < supcon_term_count; ++term)
    all.terms.window(term * columns, {share.rows}).copy_from(anchors.terms.rows(term, term + 1));

  const SupConRows own = part_of(all, share.first, end);
  formula.row_offset = share.first;
  const Tensor upstream = Tensor::full({}, 0.75, dtype, device), weight = Tensor::full({}, 0.5, dtype, device);
  const auto gradient = [&](const SupConRows& rows, const SupConRows& of) {
    const Tensor d_rows = Tensor::empty_like(rows.features);
    kernels.backward(rows, of, formula, upstream, weight, Output(d_rows));
    return d_rows.to_vector<double>();
  };
  // The forward pass of the process.
  SupConRows again = part_of(all, share.first, end);
  const std::int64_t own_anchors = half ? share.count / 2 : share.count;
  make_anchors(again, own_anchors);
  const Tensor own_losses = Tensor::empty({own_anchors}, dtype, device);
  kernels.forward(again, all, formula, Output(own_losses));

  Outcomes outcomes{own_losses.to_vector<double>(), gradient(own, all), {}};
  if (device == Device::reference) {
    outcomes.from_parts = gradient(own, without_terms(all));
    // What the own rows are to the anchors among the columns.
    const std::vector<double> as_columns = gradient(without_terms(own), part_of(all, 0, share.rows));
    for (std::size_t i = 0; i < as_columns.size(); ++i) outcomes.from_parts[i] += as_columns[i];
  }
  pool.set_poison(false);
  return outcomes;
}

void check_share(const Share& share, Device device) {
  CAPTURE(share.rows);
  CAPTURE(share.first);
  CAPTURE(share.count);
  CAPTURE(share.others);
  for (const SupConVariant variant : {SupConVariant::out, SupConVariant::in})
    for (const SupConDenominator denominator :
         {SupConDenominator::all, SupConDenominator::one_positive, SupConDenominator::only_negatives})
      for (const bool capped : {false, true})
        for (const bool half : {false, true}) {
          if (capped && share.others > 0) continue;
          CAPTURE(static_cast<int>(variant));
          CAPTURE(static_cast<int>(denominator));
          CAPTURE(capped);
          CAPTURE(half);
          SupConFormula formula;
          formula.variant = variant;
          formula.denominator = denominator;
          formula.ring = capped ? share.rows : 0;
          const Outcomes exact = evaluate_share(share, Device::reference, formula, half);
          CHECK(relative_difference(exact.gradient, exact.from_parts) < 1e-12);
          double squares = 0;
          for (const double value : exact.gradient) squares += value * value;
          CHECK(squares > 1e-6);  // a check on zeros proves nothing
          const Outcomes fast = evaluate_share(share, device, formula, half);
          CHECK(relative_difference(fast.losses, exact.losses) < 1e-6);
          CHECK(relative_difference(fast.gradient, exact.gradient) < 1e-5);
        }
}

TEST_CASE("supcon on cpu: a process's rows against the rows of all") {
  check_share({.rows = 36, .first = 0, .count = 12, .others = 0, .dim = 5}, Device::cpu);
  check_share({.rows = 36, .first = 24, .count = 12, .others = 11, .dim = 5}, Device::cpu);
  check_share({.rows = 300, .first = 75, .count = 75, .others = 70, .dim = 9}, Device::cpu);
  check_share({.rows = 800, .first = 400, .count = 200, .others = 0, .dim = 3}, Device::cpu);
}

TEST_CASE("supcon on cuda: a process's rows against the rows of all" * test::needs_gpu) {
  check_share({.rows = 36, .first = 12, .count = 12, .others = 0, .dim = 5}, Device::cuda);
  check_share({.rows = 36, .first = 24, .count = 12, .others = 11, .dim = 5}, Device::cuda);
  const FewBlocks few(3, 0);
  check_share({.rows = 200, .first = 50, .count = 140, .others = 0, .dim = 3}, Device::cuda);
  check_share({.rows = 150, .first = 100, .count = 50, .others = 40, .dim = 3}, Device::cuda);
}

}  // namespace
}  // namespace kindred
