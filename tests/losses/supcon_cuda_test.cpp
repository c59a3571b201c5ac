// The tiled kernels of SupCon on a GPU, or on one that is emulated, against the reference in float64 on the
// same float32 features: sizes that no tile divides, rectangular calls, and the edges of the formula.
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/memory.h>
#include <kindred/engine/philox.h>
#include <kindred/losses/supcon/kernels.h>

#include "../gradcheck/gradcheck.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace kindred {
namespace {

using gradcheck::relative_difference;

constexpr double temperature = 0.1;

bool gpu_answers() {
  return device_cuda != nullptr && device_cuda->probe().usable;
}

// Values of [rows, dim]; each row has the length 1.
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

struct Side {
  std::vector<float> features;  // [labels.size(), dim]
  std::vector<std::int32_t> labels;
};

// All that the kernels compute for anchors against contrasts; the contrasts are anchors too only where they are
// the same rows.
struct Outcome {
  double loss, weight, loss_over_positives;
  std::vector<double> losses, lse, d_anchors, d_contrasts;
  std::vector<std::int32_t> positives;
};

Outcome evaluate(const Side& anchor_side, const Side& contrast_side, std::int64_t row_offset, Device device) {
  MemoryPool& pool = memory_pool(device);
  pool.set_poison(true);
  const DType dtype = device == Device::reference ? DType::f64 : DType::f32;
  const auto rows_of = [&](const Side& side) {
    const auto count = static_cast<std::int64_t>(side.labels.size());
    const auto dim = static_cast<std::int64_t>(side.features.size()) / count;
    return SupConRows{Tensor::from(side.features, {count, dim}, Device::cpu).to(device, dtype),
                      Tensor::from(side.labels, {count}, device),
                      {},
                      {}};
  };
  const SupConRows contrasts = rows_of(contrast_side);
  SupConRows anchors = rows_of(anchor_side);
  const std::int64_t count = anchors.features.dim(0);
  anchors.lse = Tensor::empty({count}, dtype, device);
  anchors.positives = Tensor::empty({count}, DType::i32, device);
  const Tensor losses = Tensor::empty({count}, dtype, device);
  const Tensor loss = Tensor::empty({}, dtype, device), weight = Tensor::empty({}, dtype, device);
  const Tensor loss_over_positives = Tensor::empty({}, dtype, device);
  const Tensor d_anchors = Tensor::empty_like(anchors.features);
  const Tensor d_contrasts = Tensor::empty_like(contrasts.features);
  const Tensor upstream = Tensor::full({}, 0.75, dtype, device);
  const SupConKernels& kernels = supcon_kernels(device);
  kernels.forward(anchors, contrasts, row_offset, temperature, losses);
  kernels.mean(losses, anchors.positives, SupConReduction::anchors_with_positives, 3, loss_over_positives,
               weight);
  kernels.mean(losses, anchors.positives, SupConReduction::all_anchors, 1, loss, weight);
  const bool same = &anchor_side == &contrast_side;
  kernels.backward(anchors, same ? anchors : contrasts, row_offset, temperature, upstream, weight, d_anchors);
  kernels.backward(contrasts, anchors, -row_offset, temperature, upstream, weight, d_contrasts);
  pool.set_poison(false);
  return {loss.to_vector<double>()[0],
          weight.to_vector<double>()[0],
          loss_over_positives.to_vector<double>()[0],
          losses.to_vector<double>(),
          anchors.lse.to_vector<double>(),
          d_anchors.to_vector<double>(),
          d_contrasts.to_vector<double>(),
          anchors.positives.to_vector<std::int32_t>()};
}

void check_agreement(const Side& anchors, const Side& contrasts, std::int64_t row_offset) {
  const Outcome exact = evaluate(anchors, contrasts, row_offset, Device::reference);
  const Outcome tiled = evaluate(anchors, contrasts, row_offset, Device::cuda);
  CHECK(tiled.loss == doctest::Approx(exact.loss).epsilon(1e-6));
  CHECK(tiled.loss_over_positives == doctest::Approx(exact.loss_over_positives).epsilon(1e-6));
  CHECK(tiled.weight == doctest::Approx(exact.weight).epsilon(1e-6));
  CHECK(tiled.positives == exact.positives);
  CHECK(relative_difference(tiled.lse, exact.lse) < 1e-6);
  CHECK(relative_difference(tiled.losses, exact.losses) < 1e-6);
  CHECK(relative_difference(tiled.d_anchors, exact.d_anchors) < 1e-5);
  CHECK(relative_difference(tiled.d_contrasts, exact.d_contrasts) < 1e-5);
}

void check_square(std::int64_t rows, std::int64_t dim, std::uint32_t classes) {
  CAPTURE(rows);
  CAPTURE(dim);
  CAPTURE(classes);
  const Side side{unit_rows(rows, dim), random_labels(rows, classes)};
  check_agreement(side, side, 0);
}

// The anchors [first, first + count) of the contrasts.
void check_part(std::int64_t contrasts, std::int64_t dim, std::int64_t first, std::int64_t count) {
  CAPTURE(contrasts);
  CAPTURE(first);
  CAPTURE(count);
  const Side all{unit_rows(contrasts, dim), random_labels(contrasts, 10)};
  const Side part{{all.features.begin() + first * dim, all.features.begin() + (first + count) * dim},
                  {all.labels.begin() + first, all.labels.begin() + first + count}};
  check_agreement(part, all, first);
}

TEST_CASE("supcon on cuda: tiles give what the formula gives" * doctest::skip(!gpu_answers())) {
  for (const std::int64_t rows : {3, 63, 64, 65, 128, 129}) check_square(rows, 19, 3);
  for (const std::int64_t dim : {1, 4, 15, 16, 18, 127, 128, 129, 260}) check_square(70, dim, 3);
  check_square(193, 33, 1);    // all labels alike
  check_square(193, 33, 300);  // many anchors without positives
}

TEST_CASE("supcon on cuda: a part of the rows as anchors, in segments of several tiles" *
          doctest::skip(!gpu_answers())) {
  check_part(330, 20, 0, 130);
  check_part(330, 20, 191, 139);
  check_part(200, 20, 127, 1);
  check_part(1700, 3, 350, 1300);
}

TEST_CASE("supcon on cuda: contrasts that are never anchors, a queue" * doctest::skip(!gpu_answers())) {
  const Side anchors{unit_rows(37, 24), random_labels(37, 3)}, queue{unit_rows(300, 24), random_labels(300, 3)};
  check_agreement(anchors, queue, 300);
  check_agreement(anchors, queue, -37);
  check_agreement(queue, anchors, std::int64_t{1} << 40);
}

TEST_CASE("supcon on cuda: a row alone" * doctest::skip(!gpu_answers())) {
  const Side one{{0.6f, 0.8f}, {5}};
  const Outcome outcome = evaluate(one, one, 0, Device::cuda);
  CHECK(outcome.lse[0] == -std::numeric_limits<double>::infinity());
  CHECK(outcome.positives[0] == 0);
  CHECK(outcome.loss == 0);
  CHECK(outcome.loss_over_positives == 0);
  CHECK(outcome.d_anchors == std::vector<double>{0, 0});
}

TEST_CASE("supcon on cuda: no positives anywhere" * doctest::skip(!gpu_answers())) {
  Side side{unit_rows(150, 8), {}};
  for (std::int32_t i = 0; i < 150; ++i) side.labels.push_back(i);
  const Outcome outcome = evaluate(side, side, 0, Device::cuda);
  CHECK(outcome.loss == 0);
  CHECK(outcome.loss_over_positives == 0);
  CHECK(outcome.d_anchors == std::vector<double>(150 * 8, 0.0));
}

TEST_CASE("supcon on cuda: the self-similarity is masked before the maximum is taken" *
          doctest::skip(!gpu_answers())) {
  // Logits of some rows with themselves are 1e7, with others up to 1e4.
  Side side{unit_rows(150, 8), random_labels(150, 4)};
  for (const std::size_t row : {0, 70, 149})
    for (std::size_t d = 0; d < 8; ++d) side.features[row * 8 + d] *= 1000;
  side.labels[0] = side.labels[70] = side.labels[149] = 9;
  const Outcome exact = evaluate(side, side, 0, Device::reference);
  const Outcome tiled = evaluate(side, side, 0, Device::cuda);
  CHECK(relative_difference(tiled.lse, exact.lse) < 1e-6);
  CHECK(relative_difference(tiled.losses, exact.losses) < 1e-6);
  CHECK(tiled.positives == exact.positives);
  for (const double value : tiled.d_anchors) CHECK(std::isfinite(value));
}

TEST_CASE("supcon on cuda: what is not finite shows in the loss" * doctest::skip(!gpu_answers())) {
  Side side{unit_rows(150, 8), random_labels(150, 2)};
  side.features[77 * 8 + 3] = std::nanf("");
  const Outcome outcome = evaluate(side, side, 0, Device::cuda);
  CHECK_FALSE(std::isfinite(outcome.loss));
  for (const double loss : outcome.losses) CHECK(std::isnan(loss));  // it is a contrast of every other row
  CHECK(std::isnan(outcome.d_anchors[0]));
}

TEST_CASE("supcon on cuda: two runs are equal to the bit" * doctest::skip(!gpu_answers())) {
  const Side side{unit_rows(300, 20), random_labels(300, 10)};
  const Outcome once = evaluate(side, side, 0, Device::cuda), again = evaluate(side, side, 0, Device::cuda);
  CHECK(once.loss == again.loss);
  CHECK(once.lse == again.lse);
  CHECK(once.d_anchors == again.d_anchors);
}

}  // namespace
}  // namespace kindred
