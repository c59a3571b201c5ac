// The variants of the supervised contrastive loss: summation inside or outside of the logarithm, the three
// denominators, caps, masks, one view as anchors, narrow types. The fast kernels are compared with the
// reference, and the reference with known properties. losses_golden_test.cpp has values of other
// implementations.
#include "supcon_evaluate.h"

#include <kindred/engine/tape.h>

#include "../errors.h"
#include "../gpu.h"
#include "../gradcheck/gradcheck.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <string>

namespace kindred {
namespace {

using test::code_of;

using namespace supcon_test;
using gradcheck::relative_difference;

constexpr Device hosts[] = {Device::reference, Device::cpu};
constexpr SupConVariant variants[] = {SupConVariant::out, SupConVariant::in};
constexpr SupConDenominator denominators[] = {SupConDenominator::all, SupConDenominator::one_positive,
                                              SupConDenominator::only_negatives};

template <typename Body>
void for_each_formula(Body&& body) {
  for (const SupConVariant variant : variants)
    for (const SupConDenominator denominator : denominators) {
      SupConFormula formula;
      formula.variant = variant;
      formula.denominator = denominator;
      CAPTURE(static_cast<int>(variant));
      CAPTURE(static_cast<int>(denominator));
      body(formula);
    }
}

// u8 [images, images], symmetric, about a third of it 1.
Tensor random_mask(std::int64_t images) {
  const std::vector<std::int32_t> draws = random_labels(images * images, 3);
  std::vector<std::uint8_t> mask(draws.size());
  for (std::int64_t i = 0; i < images; ++i)
    for (std::int64_t j = 0; j < images; ++j)
      mask[static_cast<std::size_t>(i * images + j)] =
          draws[static_cast<std::size_t>(std::min(i, j) * images + std::max(i, j))] == 0;
  return Tensor::from(mask, {images, images}, Device::cpu);
}

// With one row that is not finite, and with all rows.
void check_not_finite(Device device) {
  for_each_formula([&](const SupConFormula& formula) {
    for (const std::uint32_t bits :
         {0x7fc00000u, 0x7fffffffu, 0x7f800000u})  // NaNs of a host and of a GPU, infinity
      for (const bool everywhere : {false, true}) {
        CAPTURE(bits);
        CAPTURE(everywhere);
        Side side{unit_rows(70, 8), random_labels(70, 4)};
        for (std::size_t i = everywhere ? 0 : 33 * 8; i < (everywhere ? side.features.size() : 34 * 8); ++i)
          side.features[i] = std::bit_cast<float>(bits);
        const Outcome outcome = evaluate(side, side, device, formula);
        CHECK_FALSE(std::isfinite(outcome.loss));
      }
  });
}

TEST_CASE("supcon on cpu: what is not finite shows in the loss of every variant") {
  check_not_finite(Device::cpu);
}

TEST_CASE("supcon on cuda: what is not finite shows in the loss of every variant" * test::needs_gpu) {
  check_not_finite(Device::cuda);
}

void check_variants(Device device, std::int64_t rows, std::int64_t dim) {
  for_each_formula([&](const SupConFormula& formula) {
    check_square(device, rows, dim, 7, formula);
    check_part(device, rows, dim, rows / 3, rows / 4, formula);
    SupConFormula capped = formula;
    capped.ring = rows;
    check_square(device, rows, dim, 7, capped);
    SupConFormula masked = formula;
    masked.mask = random_mask(rows / 2);
    check_square(device, rows, dim, 7, masked);
    masked.ring = rows;
    check_square(device, rows, dim, 7, masked);
    const Side side{unit_rows(rows, dim), random_labels(rows, 7)};
    check_agreement(side, side, device, formula, rows / 2);  // only the first view is an anchor
  });
}

TEST_CASE("supcon on cpu: the variants give what their formulas give") {
  check_variants(Device::cpu, 70, 5);
  check_variants(Device::cpu, 572, 9);
}

TEST_CASE("supcon on cuda: the variants give what their formulas give" * test::needs_gpu) {
  check_variants(Device::cuda, 138, 5);
  const FewBlocks few(2, 8 << 10);
  check_variants(Device::cuda, 300, 3);
}

struct Evaluated {
  double loss;
  std::vector<double> losses, gradient;
  std::vector<std::int32_t> positives, negatives;
};

Evaluated evaluate_loss(Device device, const std::vector<float>& features,
                        const std::vector<std::int32_t>& labels, const SupConOptions& options,
                        const Tensor& mask = {}) {
  const DType dtype = device == Device::reference ? DType::f64 : DType::f32;
  const auto rows = static_cast<std::int64_t>(labels.size());
  const Shape shape{rows, static_cast<std::int64_t>(features.size()) / rows};
  Tensor z = Tensor::from(features, shape, Device::cpu).to(device, dtype);
  z.set_requires_grad();
  Tape tape;
  SupConStatistics statistics;
  const Tensor loss = mask.defined() ? supcon_with_mask(z, mask.to(device, DType::u8), options, &statistics)
                                     : supcon(z, Tensor::from(labels, {rows}, device), options, &statistics);
  tape.backward(loss);
  return {loss.to_vector<double>()[0], statistics.anchor_losses.to_vector<double>(),
          tape.gradient(z).to_vector<double>(), statistics.positives.to_vector<std::int32_t>(),
          statistics.negatives.to_vector<std::int32_t>()};
}

std::vector<std::int32_t> two_views(std::vector<std::int32_t> labels) {
  const std::vector<std::int32_t> once = labels;
  labels.insert(labels.end(), once.begin(), once.end());
  return labels;
}

TEST_CASE("supcon: with one positive each, in and out are the same, and so are all and one_positive") {
  const std::vector<float> features = unit_rows(20, 6);
  const std::vector<std::int32_t> labels = two_views({0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  for (const Device device : hosts) {
    const Evaluated plain = evaluate_loss(device, features, labels, {});
    for (const SupConVariant variant : variants)
      for (const SupConDenominator denominator : {SupConDenominator::all, SupConDenominator::one_positive}) {
        const Evaluated other =
            evaluate_loss(device, features, labels, {.variant = variant, .denominator = denominator});
        CHECK(other.loss == doctest::Approx(plain.loss).epsilon(1e-6));
        CHECK(relative_difference(other.gradient, plain.gradient) < 1e-5);
      }
  }
}

TEST_CASE("supcon: in is at most out, and fewer terms below the line make less") {
  const std::vector<float> features = unit_rows(40, 6);
  const std::vector<std::int32_t> labels = random_labels(40, 4);
  double losses[2][3];
  for (const SupConVariant variant : variants)
    for (const SupConDenominator denominator : denominators)
      losses[static_cast<int>(variant)][static_cast<int>(denominator)] =
          evaluate_loss(Device::reference, features, labels, {.variant = variant, .denominator = denominator})
              .loss;
  for (const int d : {0, 1, 2}) CHECK(losses[1][d] < losses[0][d]);  // Jensen's inequality
  for (const int v : {0, 1}) {
    CHECK(losses[v][1] < losses[v][0]);
    CHECK(losses[v][2] < losses[v][1]);
  }
}

TEST_CASE("supcon: a cap keeps the anchor's own views first, then the images after it") {
  // Images 0..4 of the classes a b a a b, three views. Rows: view * 5 + image.
  const std::vector<std::int32_t> once = {0, 1, 0, 0, 1};
  std::vector<std::int32_t> labels;
  for (int view = 0; view < 3; ++view) labels.insert(labels.end(), once.begin(), once.end());
  const std::vector<float> features = unit_rows(15, 4);
  const auto z = [&](int row, int d) {
    return static_cast<double>(features[static_cast<std::size_t>(row * 4 + d)]);
  };
  const auto logit = [&](int a, int b) {
    double sum = 0;
    for (int d = 0; d < 4; ++d) sum += z(a, d) * z(b, d);
    return sum / 0.5;
  };
  for (const Device device : hosts)
    for (const int cap : {1, 2, 3, 5, 100}) {
      CAPTURE(cap);
      const Evaluated outcome =
          evaluate_loss(device, features, labels, {.temperature = 0.5f, .views = 3, .positives_cap = cap});
      for (int image = 0; image < 5; ++image)
        for (int view = 0; view < 3; ++view) {
          const int anchor = view * 5 + image;
          double denominator = 0, positive_logits = 0;
          int kept = 0, negatives = 0;
          for (int step = 0; step < 5; ++step)  // from its own image on, around the batch
            for (int other_view = 0; other_view < 3; ++other_view) {
              const int other_image = (image + step) % 5, other = other_view * 5 + other_image;
              if (other == anchor) continue;
              const bool positive =
                  once[static_cast<std::size_t>(image)] == once[static_cast<std::size_t>(other_image)];
              if (positive && kept == cap) continue;
              denominator += std::exp(logit(anchor, other));
              if (positive) positive_logits += logit(anchor, other);
              (positive ? kept : negatives) += 1;
            }
          const auto row = static_cast<std::size_t>(anchor);
          CHECK(outcome.positives[row] == kept);
          CHECK(outcome.negatives[row] == negatives);
          CHECK(outcome.losses[row] ==
                doctest::Approx(std::log(denominator) - positive_logits / kept).epsilon(1e-5));
        }
    }
}

TEST_CASE("supcon: a mask of equal labels gives what the labels give") {
  const std::vector<std::int32_t> once = {3, 0, 2, 3, 0}, labels = two_views(once);
  const std::vector<float> features = unit_rows(10, 4);
  std::vector<std::uint8_t> mask;
  for (const std::int32_t a : once)
    for (const std::int32_t b : once) mask.push_back(a == b ? 7 : 0);
  const Tensor by_hand = Tensor::from(mask, {5, 5}, Device::cpu);
  for (const Device device : hosts)
    for (const SupConContrast contrast : {SupConContrast::all, SupConContrast::one}) {
      const SupConOptions options{.contrast = contrast, .views = 2};
      const Evaluated a = evaluate_loss(device, features, labels, options);
      const Evaluated b = evaluate_loss(device, features, labels, options, by_hand);
      CHECK(a.loss == b.loss);
      CHECK(a.gradient == b.gradient);
      CHECK(a.positives == b.positives);
    }
}

TEST_CASE("supcon: contrast one is the mean over the first views") {
  const std::vector<float> features = unit_rows(12, 4);
  const std::vector<std::int32_t> labels = two_views({3, 0, 2, 3, 0, 1});
  for (const Device device : hosts) {
    const Evaluated all = evaluate_loss(device, features, labels, {.views = 2});
    const Evaluated one =
        evaluate_loss(device, features, labels, {.contrast = SupConContrast::one, .views = 2});
    double mean = 0;
    for (std::size_t i = 0; i < 6; ++i) mean += all.losses[i] / 6;
    CHECK(one.losses.size() == 6);
    CHECK(one.loss == doctest::Approx(mean).epsilon(1e-6));
  }
}

TEST_CASE("supcon: identical features give the collapse value of every variant") {
  const std::vector<std::int32_t> labels = two_views({3, 0, 2, 3, 1});
  std::vector<float> features;
  for (int i = 0; i < 10; ++i) features.insert(features.end(), {0.6f, 0.8f});
  for (const Device device : hosts)
    for (const SupConVariant variant : variants)
      for (const SupConDenominator denominator : denominators)
        for (const int cap : {0, 1}) {
          const SupConOptions options{.base_temperature = 0.07f,
                                      .variant = variant,
                                      .denominator = denominator,
                                      .views = 2,
                                      .positives_cap = cap};
          SupConStatistics statistics;
          const Tensor z = Tensor::from(features, {10, 2}, device);
          const Tensor loss = supcon(z, Tensor::from(labels, {10}, device), options, &statistics);
          CHECK(loss.to_vector<double>()[0] ==
                doctest::Approx(collapse_value(statistics, options)).epsilon(2e-6));
        }
  CHECK(collapse_value(10) > 0);
}

TEST_CASE("supcon: a batch of one class, and anchors without negatives") {
  const std::vector<float> features = unit_rows(8, 4);
  const std::vector<std::int32_t> one_class(8, 2);
  for (const Device device : hosts)
    for (const SupConVariant variant : variants) {
      // The denominator holds only the positive itself, or nothing: loss 0, no gradient.
      for (const SupConDenominator denominator :
           {SupConDenominator::one_positive, SupConDenominator::only_negatives}) {
        const Evaluated outcome =
            evaluate_loss(device, features, one_class, {.variant = variant, .denominator = denominator});
        CHECK(outcome.loss == 0);
        for (const double value : outcome.gradient) CHECK(value == 0);
        CHECK(outcome.positives == std::vector<std::int32_t>(8, 7));
      }
      const Evaluated all = evaluate_loss(device, features, one_class, {.variant = variant});
      CHECK(std::isfinite(all.loss));
      if (variant == SupConVariant::in) {
        CHECK(all.loss == doctest::Approx(std::log(7.0)).epsilon(1e-6));
        for (const double value : all.gradient) CHECK(std::abs(value) < 1e-5);
      }
    }
}

TEST_CASE("supcon: no positives, a row alone, and a temperature that overflows floats, for every variant") {
  for (const Device device : hosts)
    for (const SupConVariant variant : variants)
      for (const SupConDenominator denominator : denominators) {
        const SupConOptions options{.variant = variant, .denominator = denominator};
        const Evaluated alone = evaluate_loss(device, {0.6f, 0.8f}, {5}, options);
        CHECK(alone.loss == 0);
        CHECK(alone.gradient == std::vector<double>(2, 0.0));
        const Evaluated none = evaluate_loss(device, unit_rows(4, 2), {0, 1, 2, 3}, options);
        CHECK(none.loss == 0);
        CHECK(none.gradient == std::vector<double>(8, 0.0));
        // Positives at 0 and -1, a negative at 1: logits 400 apart.
        SupConOptions cold = options;
        cold.temperature = 0.005f;
        const Evaluated far = evaluate_loss(device, {1, 0, -1, 0, 1, 0, 0, 1}, {0, 0, 1, 1}, cold);
        CHECK(far.losses[0] == doctest::Approx(400).epsilon(1e-4));
        for (const double value : far.gradient) CHECK(std::isfinite(value));
      }
}

TEST_CASE("supcon: narrow features are widened, and their gradient is narrowed") {
  const std::vector<std::int32_t> labels = random_labels(60, 5);
  for (const DType dtype : {DType::bf16, DType::f16}) {
    Tensor narrow = Tensor::from(unit_rows(60, 12), {60, 12}, Device::cpu).to(Device::cpu, dtype);
    Tensor wide = narrow.to(Device::cpu, DType::f32);
    narrow.set_requires_grad();
    wide.set_requires_grad();
    const Tensor on_cpu = Tensor::from(labels, {60}, Device::cpu);
    Tape narrow_tape, wide_tape;
    const Tensor wide_loss = supcon(wide, on_cpu);
    wide_tape.backward(wide_loss);
    Tensor narrow_loss;
    {
      Tape tape;
      narrow_loss = supcon(narrow, on_cpu);
      CHECK(narrow_loss.dtype() == DType::f32);
      tape.backward(narrow_loss);
      CHECK(tape.gradient(narrow).dtype() == dtype);
      CHECK(relative_difference(tape.gradient(narrow).to_vector<double>(),
                                wide_tape.gradient(wide).to_vector<double>()) < 4e-3);
    }
    CHECK(narrow_loss.to_vector<double>()[0] == wide_loss.to_vector<double>()[0]);
  }
}

TEST_CASE("supcon: masks and options that are refused") {
  for (const Device device : hosts) {
    const Tensor z = Tensor::from(unit_rows(4, 3), {4, 3}, Device::cpu).to(device, DType::f32);
    const Tensor labels = Tensor::from(std::vector<std::int32_t>{0, 1, 0, 1}, {4}, device);
    const auto masked = [&](const std::vector<std::uint8_t>& mask, const Shape& shape) {
      return code_of([&] { supcon_with_mask(z, Tensor::from(mask, shape, device), {.views = 2}); });
    };
    CHECK(masked({1, 0, 0, 1}, {2, 2}) == ExitCode::ok);
    CHECK(masked({1, 1, 0, 1}, {2, 2}) == ExitCode::usage);  // not symmetric
    CHECK(masked({1, 0, 0, 1}, {4}) == ExitCode::internal);
    CHECK(masked({1, 0, 0, 0, 1, 0, 0, 0, 1}, {3, 3}) == ExitCode::internal);
    CHECK(code_of([&] {
            supcon_with_mask(z, Tensor::zeros({2, 2}, DType::f32, device), {.views = 2});
          }) == ExitCode::internal);
    CHECK(code_of([&] { supcon(z, labels, {.views = 3}); }) == ExitCode::usage);
    CHECK(code_of([&] { supcon(z, labels, {.views = 0}); }) == ExitCode::usage);
    CHECK(code_of([&] { supcon(z, labels, {.positives_cap = -1}); }) == ExitCode::usage);
  }
}

}  // namespace
}  // namespace kindred
