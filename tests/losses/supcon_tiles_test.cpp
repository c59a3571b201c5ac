// The tiled cpu kernels of SupCon against the reference in float64, on the same float32 features: sizes around
// the tiles' borders, and rectangular calls with an offset.
#include <kindred/engine/parallel.h>
#include <kindred/engine/philox.h>
#include <kindred/losses/supcon/kernels.h>

#include "../gradcheck/gradcheck.h"

#include <doctest/doctest.h>

#include <cmath>

namespace kindred {
namespace {

using gradcheck::relative_difference;

constexpr double temperature = 0.1;

Tensor unit_rows(std::int64_t rows, std::int64_t dim) {
  RandomStream random(31, Purpose::test, static_cast<std::uint32_t>(rows), static_cast<std::uint32_t>(dim));
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
  return Tensor::from(values, {rows, dim}, Device::cpu);
}

Tensor random_labels(std::int64_t rows, std::uint32_t classes) {
  RandomStream random(32, Purpose::test);
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < rows; ++i) labels.push_back(static_cast<std::int32_t>(random.below(classes)));
  return Tensor::from(labels, {rows}, Device::cpu);
}

// All that the kernels compute for the anchors [first, first + count) of the contrasts.
struct Outcome {
  double loss;
  std::vector<double> losses, lse, d_anchors, d_contrasts;
  std::vector<std::int32_t> positives;
};

Outcome evaluate(const Tensor& features, const Tensor& labels, std::int64_t first, std::int64_t count,
                 Device device) {
  const DType dtype = device == Device::reference ? DType::f64 : DType::f32;
  const Tensor z = features.to(device, dtype), all_labels = labels.to(device, DType::i32);
  const SupConRows contrasts{z, all_labels, {}, {}};
  const SupConRows anchors{z.rows(first, first + count), all_labels.rows(first, first + count),
                           Tensor::full({count}, 1e9, dtype, device),
                           Tensor::full({count}, 77, DType::i32, device)};
  const Tensor losses = Tensor::full({count}, 1e9, dtype, device);
  const Tensor loss = Tensor::empty({}, dtype, device), weight = Tensor::empty({}, dtype, device);
  const Tensor d_anchors = Tensor::full(anchors.features.shape(), 1e9, dtype, device);
  const Tensor d_contrasts = Tensor::full(z.shape(), 1e9, dtype, device);
  const Tensor upstream = Tensor::full({}, 0.75, dtype, device);
  const SupConKernels& kernels = supcon_kernels(device);
  kernels.forward(anchors, contrasts, first, temperature, losses);
  kernels.mean(losses, anchors.positives, SupConReduction::all_anchors, 1, loss, weight);
  kernels.backward(anchors, contrasts, first, temperature, upstream, weight, d_anchors);
  kernels.backward(contrasts, anchors, -first, temperature, upstream, weight, d_contrasts);
  return {loss.to_vector<double>()[0],     losses.to_vector<double>(),
          anchors.lse.to_vector<double>(), d_anchors.to_vector<double>(),
          d_contrasts.to_vector<double>(), anchors.positives.to_vector<std::int32_t>()};
}

void check_agreement(std::int64_t contrasts, std::int64_t dim, std::uint32_t classes, std::int64_t first,
                     std::int64_t count) {
  CAPTURE(contrasts);
  CAPTURE(dim);
  CAPTURE(first);
  CAPTURE(count);
  const Tensor features = unit_rows(contrasts, dim), labels = random_labels(contrasts, classes);
  const Outcome exact = evaluate(features, labels, first, count, Device::reference);
  const Outcome tiled = evaluate(features, labels, first, count, Device::cpu);
  CHECK(std::abs(tiled.loss - exact.loss) <= 1e-6 * std::abs(exact.loss));
  CHECK(tiled.positives == exact.positives);
  CHECK(relative_difference(tiled.lse, exact.lse) < 1e-6);
  CHECK(relative_difference(tiled.losses, exact.losses) < 1e-6);
  CHECK(relative_difference(tiled.d_anchors, exact.d_anchors) < 1e-5);
  CHECK(relative_difference(tiled.d_contrasts, exact.d_contrasts) < 1e-5);
}

TEST_CASE("supcon on cpu: tiles give what the formula gives") {
  for (const std::int64_t rows : {2, 3, 16, 127, 128, 129, 511, 512, 513, 1025})
    check_agreement(rows, 19, 3, 0, rows);
  check_agreement(1500, 32, 10, 0, 1500);
  check_agreement(300, 1, 2, 0, 300);
  check_agreement(300, 257, 90, 0, 300);
}

TEST_CASE("supcon on cpu: a part of the rows as anchors, anywhere among the contrasts") {
  check_agreement(700, 24, 10, 0, 130);
  check_agreement(700, 24, 10, 570, 130);
  check_agreement(1100, 24, 10, 500, 37);  // across the border of two tiles
  check_agreement(1100, 24, 10, 512, 1);
}

TEST_CASE("supcon: anchors in two parts give the gradient of the whole") {
  constexpr std::int64_t rows = 300, dim = 16, split = 113;
  const Tensor features = unit_rows(rows, dim), labels = random_labels(rows, 7);
  for (const Device device : {Device::reference, Device::cpu}) {
    const Outcome first = evaluate(features, labels, 0, split, device);
    const Outcome second = evaluate(features, labels, split, rows - split, device);
    const DType dtype = device == Device::reference ? DType::f64 : DType::f32;
    Tensor leaf = features.to(device, dtype);
    leaf.set_requires_grad();
    Tape tape;
    const Tensor loss =
        supcon(leaf, labels.to(device, DType::i32), {.temperature = static_cast<float>(temperature)});
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
  // Four anchors, their selves not among the contrasts: an offset beyond the last column.
  const Tensor anchor_features = unit_rows(4, 8), queue_features = unit_rows(600, 8);
  for (const Device device : {Device::reference, Device::cpu}) {
    const DType dtype = device == Device::reference ? DType::f64 : DType::f32;
    const SupConRows anchors{anchor_features.to(device, dtype), random_labels(4, 3).to(device, DType::i32),
                             Tensor::empty({4}, dtype, device), Tensor::empty({4}, DType::i32, device)};
    const SupConRows queue{
        queue_features.to(device, dtype), random_labels(600, 3).to(device, DType::i32), {}, {}};
    const Tensor losses = Tensor::empty({4}, dtype, device);
    supcon_kernels(device).forward(anchors, queue, 600, temperature, losses);
    const auto anchor_labels = anchors.labels.to_vector<std::int32_t>();
    const auto queue_labels = queue.labels.to_vector<std::int32_t>();
    const auto positives = anchors.positives.to_vector<std::int32_t>();
    for (std::size_t i = 0; i < 4; ++i)
      CHECK(positives[i] == std::count(queue_labels.begin(), queue_labels.end(), anchor_labels[i]));
  }
}

TEST_CASE("supcon on cpu: two runs are equal to the bit") {
  const Tensor features = unit_rows(1000, 32), labels = random_labels(1000, 10);
  const Outcome once = evaluate(features, labels, 0, 1000, Device::cpu);
  const Outcome again = evaluate(features, labels, 0, 1000, Device::cpu);
  CHECK(once.loss == again.loss);
  CHECK(once.d_anchors == again.d_anchors);
  CHECK(once.d_contrasts == again.d_contrasts);
}

TEST_CASE("supcon on cpu: one thread gives what all give") {
  const Tensor features = unit_rows(700, 32), labels = random_labels(700, 10);
  const Outcome all = evaluate(features, labels, 0, 700, Device::cpu);
  const int threads = compute_threads();
  set_compute_threads(1);
  const Outcome one = evaluate(features, labels, 0, 700, Device::cpu);
  set_compute_threads(threads);
  CHECK(one.loss == doctest::Approx(all.loss).epsilon(1e-6));
  CHECK(relative_difference(one.d_anchors, all.d_anchors) < 1e-6);
}

}  // namespace
}  // namespace kindred
