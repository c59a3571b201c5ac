// The tiled cpu kernels of SupCon against the reference in float64, on the same float32 features: sizes around
// the tiles' borders, and rectangular calls with an offset.
#include "supcon_evaluate.h"

#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/tape.h>

#include "../gradcheck/gradcheck.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace kindred {
namespace {

using namespace supcon_test;
using gradcheck::relative_difference;

TEST_CASE("supcon on cpu: tiles give what the formula gives") {
  for (const std::int64_t rows : {3, 16, 31, 32, 33, 64, 65, 127, 513, 1025})
    check_square(Device::cpu, rows, 19, 3);
  check_square(Device::cpu, 1500, 32, 10);
  check_square(Device::cpu, 300, 1, 2);
  check_square(Device::cpu, 300, 257, 90);
}

TEST_CASE("supcon on cpu: tiles of the full size") {
  check_square(Device::cpu, 16 * 256 + 37, 3, 10);
}

TEST_CASE("supcon on cpu: one exponential for a row and a column, and temperatures that are too low for it") {
  // Rows of about the same direction, and one of the opposite: its logits are as low as can be.
  constexpr std::int64_t rows = 150, dim = 8;
  Side side{unit_rows(rows, dim), random_labels(rows, 5)};
  for (std::size_t i = 0; i < side.features.size(); ++i) {
    const std::size_t row = i / dim;
    side.features[i] *= 0.1f;
    if (i % dim == 0) side.features[i] = row == 7 ? -1.0f : 1.0f;
  }
  for (const float length : {1.0f, 1.5f}) {
    Side scaled = side;
    for (float& value : scaled.features) value *= length;
    for (const double temperature : {0.5, 0.07, 0.0255, 0.024, 0.01}) {
      CAPTURE(length);
      CAPTURE(temperature);
      SupConFormula formula;
      formula.temperature = temperature;
      const Outcome exact = evaluate(scaled, scaled, Device::reference, formula);
      const Outcome tiled = evaluate(scaled, scaled, Device::cpu, formula);
      const double rounding = 1e-6 * std::max(1.0, 0.1 * static_cast<double>(length * length) / temperature);  // of a logit
      CHECK(relative_difference(tiled.lse, exact.lse) < 1e-6);
      CHECK(relative_difference(tiled.losses, exact.losses) < rounding);
      CHECK(relative_difference(tiled.d_anchors, exact.d_anchors) < 10 * rounding);
      CHECK(tiled.positives == exact.positives);
      CHECK(tiled.negatives == exact.negatives);
    }
  }
}

TEST_CASE("supcon on cpu: a part of the rows as anchors, anywhere among the contrasts") {
  check_part(Device::cpu, 700, 24, 0, 130);
  check_part(Device::cpu, 700, 24, 570, 130);
  check_part(Device::cpu, 1100, 24, 500, 37);  // across the border between two tiles
  check_part(Device::cpu, 1100, 24, 512, 1);
}

Side part_of(const Side& side, std::int64_t first, std::int64_t count) {
  const std::int64_t dim = static_cast<std::int64_t>(side.features.size() / side.labels.size());
  return {{side.features.begin() + first * dim, side.features.begin() + (first + count) * dim},
          {side.labels.begin() + first, side.labels.begin() + first + count}};
}

TEST_CASE("supcon: anchors in two parts give the gradient of the whole") {
  constexpr std::int64_t rows = 300, dim = 16, split = 113;
  const Side all{unit_rows(rows, dim), random_labels(rows, 7)};
  for (const Device device : {Device::reference, Device::cpu}) {
    const DType dtype = device == Device::reference ? DType::f64 : DType::f32;
    const Side first_part = part_of(all, 0, split), second_part = part_of(all, split, rows - split);
    SupConFormula offset;
    offset.row_offset = split;
    const Outcome first = evaluate(first_part, all, device);
    const Outcome second = evaluate(second_part, all, device, offset);
    Tensor leaf = Tensor::from(all.features, {rows, dim}, Device::cpu).to(device, dtype);
    leaf.set_requires_grad();
    Tape tape;
    const Tensor loss = supcon(leaf, Tensor::from(all.labels, {rows}, device), {.temperature = 0.1f});
    tape.backward(loss, Tensor::full({}, 0.75, dtype, device));

    // Each part's loss is the mean over its own anchors.
    const double share[] = {static_cast<double>(split) / rows, static_cast<double>(rows - split) / rows};
    CHECK(loss.to_vector<double>()[0] ==
          doctest::Approx(share[0] * first.loss + share[1] * second.loss).epsilon(1e-6));
    std::vector<double> sum(rows * dim);
    for (std::size_t i = 0; i < sum.size(); ++i) {
      const std::size_t in_second = i - split * dim;
      sum[i] = share[0] * first.d_contrasts[i] + share[1] * second.d_contrasts[i] +
               (i < split * dim ? share[0] * first.d_anchors[i] : share[1] * second.d_anchors[in_second]);
    }
    CHECK(relative_difference(tape.gradient(leaf).to_vector<double>(), sum) < 1e-5);
  }
}

TEST_CASE("supcon: contrasts that are never anchors, a queue") {
  // Four anchors that are not among the contrasts: the offset is beyond the last column.
  const Side anchors{unit_rows(4, 8), random_labels(4, 3)}, queue{unit_rows(600, 8), random_labels(600, 3)};
  SupConFormula formula;
  formula.row_offset = 600;
  for (const Device device : {Device::reference, Device::cpu}) {
    const Outcome outcome = evaluate(anchors, queue, device, formula);
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK(outcome.positives[i] == std::count(queue.labels.begin(), queue.labels.end(), anchors.labels[i]));
      CHECK(outcome.positives[i] + outcome.negatives[i] == 600);
    }
  }
  check_agreement(anchors, queue, Device::cpu, formula);
}

TEST_CASE("supcon on cpu: two runs are equal to the bit") {
  const Side side{unit_rows(1000, 32), random_labels(1000, 10)};
  const Outcome once = evaluate(side, side, Device::cpu), again = evaluate(side, side, Device::cpu);
  CHECK(once.loss == again.loss);
  CHECK(once.d_anchors == again.d_anchors);
  CHECK(once.d_contrasts == again.d_contrasts);
}

TEST_CASE("supcon on cpu: one thread gives what many give") {
  const Side side{unit_rows(1300, 32), random_labels(1300, 10)};
  const int threads = compute_threads();
  set_compute_threads(1);
  const Outcome one = evaluate(side, side, Device::cpu);
  for (const int number : {2, 3, 7}) {
    set_compute_threads(number);
    const Outcome many = evaluate(side, side, Device::cpu);
    CHECK(many.loss == doctest::Approx(one.loss).epsilon(1e-6));
    CHECK(relative_difference(many.d_anchors, one.d_anchors) < 1e-6);
  }
  set_compute_threads(threads);
}

}  // namespace
}  // namespace kindred
