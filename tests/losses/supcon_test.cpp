// The supervised contrastive loss for inputs with known values: golden vectors, the introductory example, and
// edge cases. tests/gradcheck/supcon_cases.cpp checks its gradient.
#include <kindred/engine/tape.h>
#include <kindred/losses/supcon/supcon.h>

#include "../errors.h"
#include "../golden/formula.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace kindred {
namespace {

constexpr Device hosts[] = {Device::reference, Device::cpu};

Tensor labels_on(Device device, const std::vector<std::int32_t>& labels) {
  return Tensor::from(labels, {static_cast<std::int64_t>(labels.size())}, device);
}

// A loss with all its results.
struct Outcome {
  double loss;
  std::vector<double> anchor_losses;
  std::vector<double> gradient;
  std::vector<std::int32_t> positives;
  std::int64_t without_positives;
};

Outcome evaluate(const Tensor& features, const Tensor& labels, const SupConOptions& options) {
  Tensor leaf = features.to(features.device(), features.dtype());
  leaf.set_requires_grad();
  SupConStatistics statistics;
  Tape tape;
  const Tensor loss = supcon(leaf, labels, options, &statistics);
  CHECK(loss.shape() == Shape{});
  tape.backward(loss);
  return {loss.to_vector<double>()[0], statistics.anchor_losses.to_vector<double>(),
          tape.gradient(leaf).to_vector<double>(), statistics.positives.to_vector<std::int32_t>(),
          statistics.anchors_without_positives()};
}

Outcome evaluate(Device device, const std::vector<float>& features, const std::vector<std::int32_t>& labels,
                 const SupConOptions& options) {
  const auto rows = static_cast<std::int64_t>(labels.size());
  const Shape shape{rows, static_cast<std::int64_t>(features.size()) / rows};
  return evaluate(Tensor::from(features, shape, device), labels_on(device, labels), options);
}

TEST_CASE("supcon: the published golden vectors") {
  const std::vector<double> features{
      .01, .02, .14, .86, .97, .33, .32, .64, .28,              // view 0 of the images 0, 1, 2
      .38, .61, .50, .26, .68, .45, .45, .74, .73};             // view 1
  const double expected[] = {1.6755850, 1.7973775, 1.5847100};  // each image's mean over its two views
  for (const Device device : hosts) {
    const DType dtype = device == Device::reference ? DType::f64 : DType::f32;
    const Tensor rows = Tensor::from(features, {6, 3}, Device::reference).to(device, dtype);
    const Tensor labels = repeat_labels(labels_on(device, {0, 0, 1}), 2);
    const Outcome outcome = evaluate(rows, labels, {.temperature = 1});
    for (const std::size_t i : {0, 1, 2})
      CHECK((outcome.anchor_losses[i] + outcome.anchor_losses[i + 3]) / 2 ==
            doctest::Approx(expected[i]).epsilon(3e-7));
    CHECK(outcome.loss == doctest::Approx((expected[0] + expected[1] + expected[2]) / 3).epsilon(3e-7));
  }
}

double norm_of_difference(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

TEST_CASE("supcon: PyTorch's values and gradients") {
  const nlohmann::json cases = golden::load_fixture("supcon").at("cases");
  REQUIRE(cases.size() >= 7);
  for (const nlohmann::json& item : cases) {
    const auto name = item.at("name").get<std::string>();
    CAPTURE(name);
    const auto views = item.at("views").get<int>();
    const auto dim = item.at("dim").get<std::int64_t>();
    const std::int64_t rows = views * item.at("images").get<std::int64_t>();
    std::vector<double> features = golden::formula(name + "/features", rows * dim, -1, 1);
    for (auto row = features.begin(); row != features.end(); row += dim) {
      const double length = golden::norm({row, row + dim});
      for (auto value = row; value != row + dim; ++value) *value /= length;
    }
    for (const Device device : hosts) {
      CAPTURE(kindred::name(device));
      const bool exact = device == Device::reference;
      const double tolerance = exact ? 1e-12 : 1e-5;
      const Tensor z =
          Tensor::from(features, {rows, dim}, Device::reference).to(device, exact ? DType::f64 : DType::f32);
      const Tensor labels = repeat_labels(labels_on(device, item.at("groups")), views);
      SupConOptions options{.temperature = item.at("temperature").get<float>()};
      // The temperature of the options is a float. Its rounding, amplified by the logits, is the only
      // difference.
      const double float_temperature = 2e-6;
      const Outcome outcome = evaluate(z, labels, options);
      CHECK(outcome.loss == doctest::Approx(item.at("loss").get<double>()).epsilon(float_temperature));
      CHECK(norm_of_difference(outcome.anchor_losses, item.at("per_anchor")) <
            std::max(tolerance, float_temperature) *
                golden::norm(item.at("per_anchor").get<std::vector<double>>()));
      CHECK(rows - outcome.without_positives == item.at("anchors_with_positives").get<std::int64_t>());
      const double norm = item.at("gradient_norm");
      CHECK(golden::norm(outcome.gradient) == doctest::Approx(norm).epsilon(1e-5));
      for (int k = 0; k < 3; ++k)
        CHECK(std::abs(golden::projection(k, name + "/gradient", outcome.gradient) -
                       item.at("gradient_projections").at(static_cast<std::size_t>(k)).get<double>()) <
              1e-5 * norm);
      if (item.contains("gradient")) {
        std::vector<double> flat;
        for (const auto& row : item.at("gradient")) flat.insert(flat.end(), row.begin(), row.end());
        CHECK(norm_of_difference(outcome.gradient, flat) < 1e-5 * norm);
      }
      options.reduction = SupConReduction::anchors_with_positives;
      CHECK(evaluate(z, labels, options).loss ==
            doctest::Approx(item.at("loss_over_positives").get<double>()).epsilon(float_temperature));
    }
  }
}

TEST_CASE("supcon: the positives of the introductory example") {
  // Labels 3 0 2 3, two views: image 0 and image 3 share a class.
  const std::vector<float> features{1, 0, 0, 1, -1, 0, 0.6f, 0.8f, 0.8f, 0.6f, 0, -1, -0.6f, 0.8f, 0, 1};
  for (const Device device : hosts) {
    const Outcome outcome = evaluate(device, features, {3, 0, 2, 3, 3, 0, 2, 3}, {.temperature = 0.07f});
    CHECK(outcome.positives == std::vector<std::int32_t>{3, 1, 1, 3, 3, 1, 1, 3});
    CHECK(outcome.without_positives == 0);
  }
}

TEST_CASE("supcon: an anchor without a positive has the loss 0, and both means are offered") {
  const std::vector<float> features{1, 0, 0, 1, 0.6f, 0.8f};
  for (const Device device : hosts) {
    // Anchors 0 and 2 are a class, 1 is alone; -log of the softmax over the two other rows, T = 1.
    const double anchor_0 = std::log(std::exp(0.0) + std::exp(0.6)) - 0.6;
    const double anchor_2 = std::log(std::exp(0.6) + std::exp(0.8)) - 0.6;
    const Outcome all = evaluate(device, features, {7, 1, 7}, {.temperature = 1});
    CHECK(all.anchor_losses[1] == 0);
    CHECK(all.without_positives == 1);
    CHECK(all.loss == doctest::Approx((anchor_0 + anchor_2) / 3).epsilon(1e-6));
    const Outcome some = evaluate(device, features, {7, 1, 7},
                                  {.temperature = 1, .reduction = SupConReduction::anchors_with_positives});
    CHECK(some.loss == doctest::Approx((anchor_0 + anchor_2) / 2).epsilon(1e-6));
    for (std::size_t i = 0; i < some.gradient.size(); ++i)
      CHECK(some.gradient[i] == doctest::Approx(1.5 * all.gradient[i]).epsilon(1e-5));
  }
}

TEST_CASE("supcon: no anchor has a positive") {
  for (const Device device : hosts)
    for (const auto reduction : {SupConReduction::all_anchors, SupConReduction::anchors_with_positives}) {
      const Outcome outcome = evaluate(device, {1, 0, 0, 1, -1, 0}, {0, 1, 2}, {.reduction = reduction});
      CHECK(outcome.loss == 0);
      CHECK(outcome.without_positives == 3);
      CHECK(outcome.gradient == std::vector<double>(6, 0.0));
    }
}

TEST_CASE("supcon: a batch of one image in one view") {
  for (const Device device : hosts)
    for (const auto reduction : {SupConReduction::all_anchors, SupConReduction::anchors_with_positives}) {
      const Outcome outcome = evaluate(device, {0.6f, 0.8f}, {5}, {.reduction = reduction});
      CHECK(outcome.loss == 0);
      CHECK(outcome.gradient == std::vector<double>(2, 0.0));
      CHECK(outcome.without_positives == 1);
    }
}

TEST_CASE("supcon: identical features give exactly the collapse value") {
  for (const Device device : hosts)
    for (const std::int64_t rows : {2, 3, 64, 600}) {
      std::vector<float> features;
      for (std::int64_t i = 0; i < rows; ++i) features.insert(features.end(), {0.6f, 0.8f});
      for (const float base : {0.0f, 0.07f}) {
        const SupConOptions options{.temperature = 0.1f, .base_temperature = base};
        const std::vector<std::int32_t> one_class(static_cast<std::size_t>(rows),
                                                  4);  // the whole batch one class
        const Outcome outcome = evaluate(device, features, one_class, options);
        CHECK(outcome.loss == doctest::Approx(collapse_value(rows, options)).epsilon(2e-6));
        CHECK(golden::norm(outcome.gradient) < 1e-5);  // a saddle point: no direction is better than another
      }
    }
  CHECK(collapse_value(512, {.temperature = 0.1f, .base_temperature = 0.07f}) ==
        doctest::Approx(8.909).epsilon(1e-4));
  CHECK(collapse_value(128, {.temperature = 0.1f, .base_temperature = 0.07f}) ==
        doctest::Approx(6.920).epsilon(1e-4));
  CHECK(collapse_value(512) == doctest::Approx(std::log(511.0)));
  CHECK(collapse_value(2) == 0);
  CHECK(collapse_value(1) == 0);
}

TEST_CASE("supcon: the base temperature scales the loss and its gradient") {
  for (const Device device : hosts) {
    const std::vector<float> features{1, 0, 0, 1, 0.6f, 0.8f};
    const Outcome plain = evaluate(device, features, {0, 1, 0}, {.temperature = 0.5f});
    const Outcome scaled =
        evaluate(device, features, {0, 1, 0}, {.temperature = 0.5f, .base_temperature = 0.25f});
    CHECK(scaled.loss == doctest::Approx(2 * plain.loss).epsilon(1e-6));
    CHECK(golden::norm(scaled.gradient) == doctest::Approx(2 * golden::norm(plain.gradient)).epsilon(1e-6));
  }
}

TEST_CASE("supcon: the self-similarity is masked before the maximum is taken") {
  // One row of length 1000: its logit with itself is 1e7, with the others 1e4. If 1e7 were in the maximum, all
  // other terms would vanish and the loss would be the log of 0.
  const std::vector<float> features{1000, 0, 1, 0, 0.6f, 0.8f, 0, 1};
  for (const Device device : hosts) {
    const Outcome outcome = evaluate(device, features, {0, 0, 1, 1}, {.temperature = 0.1f});
    for (const double loss : outcome.anchor_losses) CHECK(std::isfinite(loss));
    CHECK(outcome.anchor_losses[0] == doctest::Approx(0).epsilon(1e-6));  // 10000 against 6000 and 0
    CHECK(outcome.loss > 1000);
    for (const double value : outcome.gradient) CHECK(std::isfinite(value));
  }
}

TEST_CASE("supcon: a temperature at which exp(1/T) overflows a float") {
  const std::vector<float> features{1, 0, 0.8f, 0.6f, 0, 1, -1, 0};
  for (const Device device : hosts) {
    const Outcome outcome = evaluate(device, features, {0, 0, 1, 1}, {.temperature = 0.005f});
    CHECK(outcome.anchor_losses[0] == doctest::Approx(0).epsilon(1e-6));
    CHECK(outcome.anchor_losses[2] == doctest::Approx(120).epsilon(1e-5));  // 0.6 / T; its positive is at 0
    for (const double value : outcome.gradient) CHECK(std::isfinite(value));
  }
}

TEST_CASE("supcon: image indices as labels make SimCLR's loss, and an image drawn twice has three positives") {
  for (const Device device : hosts) {
    const Tensor labels = simclr_labels(labels_on(device, {10, 11, 10, 12}), 2);
    CHECK(labels.to_vector<std::int32_t>() == std::vector<std::int32_t>{10, 11, 10, 12, 10, 11, 10, 12});
    std::vector<float> features;
    for (int i = 0; i < 8; ++i) features.insert(features.end(), {std::cos(0.7f * i), std::sin(0.7f * i)});
    CHECK(evaluate(Tensor::from(features, {8, 2}, device), labels, {}).positives ==
          std::vector<std::int32_t>{3, 1, 3, 1, 3, 1, 3, 1});
  }
}

ExitCode code_of(const Tensor& features, const Tensor& labels, const SupConOptions& options) {
  return test::code_of([&] { supcon(features, labels, options); });
}

TEST_CASE("supcon: what it refuses, and how") {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  for (const Device device : hosts) {
    const Tensor z = Tensor::from(std::vector<float>{1, 0, 0, 1}, {2, 2}, device);
    const Tensor labels = labels_on(device, {0, 0});
    CHECK(code_of(z, labels, {}) == ExitCode::ok);
    for (const float temperature : {0.0f, -0.1f, infinity, nan}) {
      CHECK(code_of(z, labels, {.temperature = temperature}) == ExitCode::usage);
      CHECK_THROWS_AS(collapse_value(8, {.temperature = temperature}), Error);
    }
    for (const float base : {-1.0f, infinity, nan})
      CHECK(code_of(z, labels, {.base_temperature = base}) == ExitCode::usage);
    CHECK(code_of(z, labels_on(device, {0, -1}), {}) == ExitCode::data);
    CHECK(code_of(z, labels_on(device, {0, 0, 0}), {}) == ExitCode::internal);
    CHECK(code_of(z, Tensor::zeros({2}, DType::f32, device), {}) == ExitCode::internal);
    CHECK(code_of(z.reshape({4}), labels, {}) == ExitCode::internal);
    CHECK(code_of(labels.reshape({2, 1}), labels, {}) == ExitCode::internal);
    CHECK_THROWS_AS(repeat_labels(labels, 0), Error);
    // Lengths and values are checked on request.
    const Tensor longer = Tensor::from(std::vector<float>{1, 0, 0, 1.1f}, {2, 2}, device);
    const Tensor broken = Tensor::from(std::vector<float>{1, 0, nan, 1}, {2, 2}, device);
    CHECK(code_of(longer, labels, {}) == ExitCode::ok);
    CHECK(code_of(longer, labels, {.check_unit_length = true}) == ExitCode::usage);
    CHECK(code_of(broken, labels, {.check_unit_length = true}) == ExitCode::non_finite);
    CHECK(code_of(z, labels, {.check_unit_length = true}) == ExitCode::ok);
  }
}

TEST_CASE("supcon: what is not finite shows in the loss") {
  for (const Device device : hosts) {
    const Tensor z = Tensor::from(std::vector<float>{1, 0, std::nanf(""), 1, 0, 1}, {3, 2}, device);
    CHECK_FALSE(std::isfinite(supcon(z, labels_on(device, {0, 0, 0})).to_vector<double>()[0]));
  }
}

}  // namespace
}  // namespace kindred
