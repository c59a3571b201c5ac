#include "supcon_evaluate.h"

#include <kindred/engine/memory.h>
#include <kindred/engine/random/philox.h>
#include <kindred/losses/supcon/areas.h>

#include "../gradcheck/gradcheck.h"

#include <doctest/doctest.h>

#include <cmath>

namespace kindred::supcon_test {

using gradcheck::relative_difference;

std::vector<float> unit_rows(std::int64_t rows, std::int64_t dim) {
  RandomStream random(41, Purpose::test, static_cast<std::uint32_t>(rows), static_cast<std::uint32_t>(dim));
  std::vector<float> values;
  for (std::int64_t i = 0; i < rows; ++i) {
    double squares = 0;
    for (std::int64_t d = 0; d < dim; ++d) {
      values.push_back(random.normal());
      squares += std::pow(values.back(), 2.0);
    }
    for (auto value = values.end() - dim; value != values.end(); ++value)
      *value /= static_cast<float>(std::sqrt(squares));
  }
  return values;
}

std::vector<std::int32_t> random_labels(std::int64_t rows, std::uint32_t classes) {
  RandomStream random(42, Purpose::test, static_cast<std::uint32_t>(rows));
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < rows; ++i) labels.push_back(static_cast<std::int32_t>(random.below(classes)));
  return labels;
}

Outcome evaluate(const Side& anchor_side, const Side& contrast_side, Device device, SupConFormula formula,
                 std::int64_t count, bool with_d_contrasts) {
  MemoryPool& pool = memory_pool(device);
  pool.set_poison(true);
  const DType dtype = device == Device::reference ? DType::f64 : DType::f32;
  if (formula.mask.defined()) formula.mask = formula.mask.to(device, DType::u8);
  const auto rows_of = [&](const Side& side) {
    const auto rows = static_cast<std::int64_t>(side.labels.size());
    const auto dim = static_cast<std::int64_t>(side.features.size()) / rows;
    return SupConRows{.features = Tensor::from(side.features, {rows, dim}, Device::cpu).to(device, dtype),
                      .labels = Tensor::from(side.labels, {rows}, device)};
  };
  const bool same = &anchor_side == &contrast_side;
  const SupConKernels& kernels = supcon_kernels(device);
  SupConRows anchors = rows_of(anchor_side), contrasts = same ? anchors : rows_of(contrast_side);
  const std::int64_t rows = anchors.features.dim(0);
  if (count < 0) count = rows;
  if (formula.ring != 0) {  // two views and at most 5 positives
    REQUIRE(same);
    anchors.cap = Tensor::empty({supcon_cap_count, rows}, DType::i32, device);
    kernels.cap(anchors.labels, formula.mask, 2, 5, Output(anchors.cap));
    contrasts.cap = anchors.cap;
  }
  anchors.terms = Tensor::empty({supcon_term_count, rows}, dtype, device);
  anchors.lse = Tensor::empty({count}, dtype, device);
  anchors.positives = Tensor::empty({count}, DType::i32, device);
  anchors.negatives = Tensor::empty({count}, DType::i32, device);
  const Tensor losses = Tensor::empty({count}, dtype, device);
  const Tensor loss = Tensor::empty({}, dtype, device), weight = Tensor::empty({}, dtype, device);
  const Tensor loss_over_positives = Tensor::empty({}, dtype, device);
  const Tensor d_anchors = Tensor::empty_like(anchors.features);
  const Tensor d_contrasts =
      with_d_contrasts ? Tensor::empty_like(contrasts.features) : Tensor::empty({0}, dtype, device);
  const Tensor upstream = Tensor::full({}, 0.75, dtype, device);
  SupConFormula swapped = formula;
  swapped.row_offset = -formula.row_offset;
  kernels.forward(anchors, same ? anchors : contrasts, formula, Output(losses));
  kernels.mean(losses, anchors.positives, SupConReduction::anchors_with_positives, 3,
               Output(loss_over_positives), Output(weight));
  kernels.mean(losses, anchors.positives, SupConReduction::all_anchors, 1, Output(loss), Output(weight));
  kernels.backward(anchors, same ? anchors : contrasts, formula, upstream, weight, Output(d_anchors));
  if (with_d_contrasts) kernels.backward(contrasts, anchors, swapped, upstream, weight, Output(d_contrasts));
  pool.set_poison(false);
  return {loss.to_vector<double>()[0],
          weight.to_vector<double>()[0],
          loss_over_positives.to_vector<double>()[0],
          losses.to_vector<double>(),
          anchors.lse.to_vector<double>(),
          d_anchors.to_vector<double>(),
          d_contrasts.to_vector<double>(),
          anchors.positives.to_vector<std::int32_t>(),
          anchors.negatives.to_vector<std::int32_t>()};
}

void check_agreement(const Side& anchors, const Side& contrasts, Device device, const SupConFormula& formula,
                     std::int64_t count) {
  const Outcome exact = evaluate(anchors, contrasts, Device::reference, formula, count);
  const Outcome tiled = evaluate(anchors, contrasts, device, formula, count);
  CHECK(tiled.loss == doctest::Approx(exact.loss).epsilon(1e-6));
  CHECK(tiled.loss_over_positives == doctest::Approx(exact.loss_over_positives).epsilon(1e-6));
  CHECK(tiled.weight == doctest::Approx(exact.weight).epsilon(1e-6));
  CHECK(tiled.positives == exact.positives);
  CHECK(tiled.negatives == exact.negatives);
  CHECK(relative_difference(tiled.lse, exact.lse) < 1e-6);
  CHECK(relative_difference(tiled.losses, exact.losses) < 1e-6);
  CHECK(relative_difference(tiled.d_anchors, exact.d_anchors) < 1e-5);
  CHECK(relative_difference(tiled.d_contrasts, exact.d_contrasts) < 1e-5);
}

void check_square(Device device, std::int64_t rows, std::int64_t dim, std::uint32_t classes,
                  const SupConFormula& formula) {
  CAPTURE(rows);
  CAPTURE(dim);
  CAPTURE(classes);
  const Side side{unit_rows(rows, dim), random_labels(rows, classes)};
  check_agreement(side, side, device, formula);
}

void check_part(Device device, std::int64_t contrasts, std::int64_t dim, std::int64_t first, std::int64_t count,
                SupConFormula formula) {
  CAPTURE(contrasts);
  CAPTURE(first);
  CAPTURE(count);
  const Side all{unit_rows(contrasts, dim), random_labels(contrasts, 10)};
  const Side part{{all.features.begin() + first * dim, all.features.begin() + (first + count) * dim},
                  {all.labels.begin() + first, all.labels.begin() + first + count}};
  formula.row_offset = first;
  check_agreement(part, all, device, formula);
}

FewBlocks::FewBlocks(std::int64_t blocks, std::int64_t column_bytes) {
  supcon_areas::set_limits(supcon_areas::Limits{blocks, column_bytes});
}

FewBlocks::~FewBlocks() {
  supcon_areas::set_limits(std::nullopt);
}

}  // namespace kindred::supcon_test
