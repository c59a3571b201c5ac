// Triplet, max-margin, N-pairs and NT-Xent for inputs whose values are known by hand, and edge cases. Gradients
// are tested in tests/gradcheck/metric_losses_cases.cpp, values of other implementations in
// losses_golden_test.cpp.
#include <kindred/engine/tape.h>
#include <kindred/losses/max_margin/max_margin.h>
#include <kindred/losses/n_pairs/n_pairs.h>
#include <kindred/losses/triplet/triplet.h>

#include "../errors.h"
#include "../gpu.h"
#include "supcon_evaluate.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>

namespace kindred {
namespace {

using test::code_of;

using supcon_test::random_labels;
using supcon_test::unit_rows;

constexpr Device hosts[] = {Device::reference, Device::cpu};

Tensor labels_on(Device device, const std::vector<std::int32_t>& labels) {
  return Tensor::from(labels, {static_cast<std::int64_t>(labels.size())}, device);
}

double value(const Tensor& scalar) {
  return scalar.to_vector<double>()[0];
}

// Loss and gradient of rows on a line.
struct OnALine {
  double loss;
  std::vector<double> gradient;
};

OnALine on_a_line(Device device, const std::vector<float>& places,
                  const std::function<Tensor(const Tensor&)>& loss_of) {
  Tensor z = Tensor::from(places, {static_cast<std::int64_t>(places.size()), 1}, device);
  z.set_requires_grad();
  Tape tape;
  const Tensor loss = loss_of(z);
  tape.backward(loss);
  return {value(loss), tape.gradient(z).to_vector<double>()};
}

TEST_CASE("triplet: rows on a line, by hand") {
  // Rows 0 and 1 are of class 0, rows 3 and 2.5 of class 1.
  // Triplets (a, p, n), squared distances: (0,1,3) 1-9, (0,1,2.5) 1-6.25, (1,0,3) 1-4, (1,0,2.5) 1-2.25,
  // (3,2.5,0) .25-9, (3,2.5,1) .25-4, (2.5,3,0) .25-6.25, (2.5,3,1) .25-2.25.
  const std::vector<float> places = {0, 1, 3, 2.5f};
  for (const Device device : hosts) {
    const Tensor labels = labels_on(device, {0, 0, 1, 1});
    const auto loss_of = [&](TripletMining mining, TripletReduction reduction, float margin) {
      return on_a_line(device, places, [&](const Tensor& z) {
        return triplet(z, labels, {.margin = margin, .mining = mining, .reduction = reduction});
      });
    };
    using M = TripletMining;
    using R = TripletReduction;
    // Margin 3: (1,0,2.5) with 1.75 and (2.5,3,1) with 1 are active; (1,0,3) with 0 is not.
    CHECK(loss_of(M::batch_all, R::active, 3).loss == doctest::Approx((1.75 + 1) / 2));
    CHECK(loss_of(M::batch_all, R::chosen, 3).loss == doctest::Approx((1.75 + 1) / 8));
    CHECK(loss_of(M::batch_hard, R::chosen, 3).loss == doctest::Approx((1.75 + 1) / 4));
    CHECK(loss_of(M::batch_hard, R::active, 3).loss == doctest::Approx((1.75 + 1) / 2));
    CHECK(loss_of(M::semi_hard, R::chosen, 3).loss == doctest::Approx((1.75 + 1) / 2));
    // d/dz of ((1-0)^2 - (1-2.5)^2 + (2.5-3)^2 - (2.5-1)^2) / 2
    const std::vector<double> expected = {-1, 1 + 1.5 + 1.5, 0.5, -1.5 - 0.5 - 1.5};
    const std::vector<double> gradient = loss_of(M::batch_all, R::active, 3).gradient;
    for (std::size_t i = 0; i < 4; ++i) CHECK(gradient[i] == doctest::Approx(expected[i]));
    // Nothing is active: no loss, no gradient.
    CHECK(loss_of(M::batch_all, R::active, 0).loss == 0);
    for (const double g : loss_of(M::batch_all, R::active, 0).gradient) CHECK(g == 0);
    // A margin so wide that every triplet is active.
    CHECK(loss_of(M::batch_all, R::active, 20).loss ==
          doctest::Approx(20 + (4 * 1 + 4 * .25 - 9 - 6.25 - 4 - 2.25 - 9 - 4 - 6.25 - 2.25) / 8));
  }
}

TEST_CASE("triplets on a GPU: every mining gives what the CPU gives" * test::needs_gpu) {
  constexpr std::int64_t count = 300;  // more than the threads of a block
  const std::vector<float> rows = unit_rows(count, 8);
  const std::vector<std::int32_t> labels = random_labels(count, 40);
  const auto evaluate = [&](Device device, const TripletOptions& options) {
    Tensor z = Tensor::from(rows, {count, 8}, device);
    z.set_requires_grad();
    Tape tape;
    const Tensor loss = triplet(z, labels_on(device, labels), options);
    tape.backward(loss);
    std::vector<double> numbers = tape.gradient(z).to_vector<double>();
    numbers.push_back(value(loss));
    return numbers;
  };
  for (const TripletMining mining :
       {TripletMining::batch_all, TripletMining::batch_hard, TripletMining::semi_hard})
    for (const TripletReduction reduction : {TripletReduction::chosen, TripletReduction::active}) {
      const TripletOptions options{.margin = 0.5f, .mining = mining, .reduction = reduction};
      const std::vector<double> cpu = evaluate(Device::cpu, options), gpu = evaluate(Device::cuda, options);
      CHECK(cpu.back() > 0.01);
      for (std::size_t i = 0; i < cpu.size(); ++i) CHECK(std::abs(gpu[i] - cpu[i]) < 1e-5);
    }
}

TEST_CASE(
    "triplet: identical features give the margin, a batch of one class and a batch of all different nothing") {
  for (const Device device : hosts)
    for (const TripletMining mining :
         {TripletMining::batch_all, TripletMining::batch_hard, TripletMining::semi_hard}) {
      const TripletOptions options{.margin = 0.3f, .mining = mining};
      const Tensor same = Tensor::full({6, 2}, 0.7, DType::f32, device);
      CHECK(value(triplet(same, labels_on(device, {0, 0, 1, 1, 2, 3}), options)) ==
            doctest::Approx(triplet_collapse_value(options)).epsilon(1e-6));
      const Tensor z = Tensor::from(unit_rows(4, 3), {4, 3}, Device::cpu).to(device, DType::f32);
      CHECK(value(triplet(z, labels_on(device, {1, 1, 1, 1}), options)) == 0);
      CHECK(value(triplet(z, labels_on(device, {0, 1, 2, 3}), options)) == 0);
      CHECK(value(triplet(z.rows(0, 1), labels_on(device, {0}), options)) == 0);
    }
}

TEST_CASE("max_margin: rows on a line, by hand") {
  for (const Device device : hosts) {
    const Tensor labels = labels_on(device, {0, 0, 1});
    const OnALine outcome =
        on_a_line(device, {0, 1, 1.5f}, [&](const Tensor& z) { return max_margin(z, labels, {.margin = 2}); });
    // 1/2 + (2 - 1.5)^2 / 2 + (2 - .5)^2 / 2; each pair counts twice among six
    CHECK(outcome.loss == doctest::Approx((0.5 + 0.125 + 1.125) / 3));
    const double expected[] = {(-1 + 0.5) / 3, (1 + 1.5) / 3, (-0.5 - 1.5) / 3};
    for (std::size_t i = 0; i < 3; ++i) CHECK(outcome.gradient[i] == doctest::Approx(expected[i]));
    // Two equal rows of different classes: full loss, no direction, and all values are finite.
    const OnALine equal = on_a_line(device, {1, 1}, [&](const Tensor& z) {
      return max_margin(z, labels_on(device, {0, 1}), {.margin = 2});
    });
    CHECK(equal.loss == doctest::Approx(max_margin_collapse_value({.margin = 2}, 1)));
    for (const double g : equal.gradient) CHECK(g == 0);
    CHECK(value(max_margin(Tensor::full({1, 2}, 1, DType::f32, device), labels_on(device, {0}))) == 0);
  }
}

TEST_CASE("n_pairs: cross-entropy of a pair among the second views of other classes") {
  constexpr std::int64_t images = 5, dim = 4;
  const std::vector<float> features = unit_rows(2 * images, dim);
  const std::vector<std::int32_t> once = {0, 1, 2, 1, 3};
  std::vector<std::int32_t> labels = once;
  labels.insert(labels.end(), once.begin(), once.end());
  const auto product = [&](std::int64_t a, std::int64_t b) {
    double sum = 0;
    for (std::int64_t d = 0; d < dim; ++d)
      sum += static_cast<double>(features[static_cast<std::size_t>(a * dim + d)]) *
             features[static_cast<std::size_t>(b * dim + d)];
    return sum / 0.5;
  };
  double expected = 0;
  for (std::int64_t i = 0; i < images; ++i) {
    double sum = 1;
    for (std::int64_t j = 0; j < images; ++j)
      if (once[static_cast<std::size_t>(j)] != once[static_cast<std::size_t>(i)])
        sum += std::exp(product(i, images + j) - product(i, images + i));
    expected += std::log(sum) / images;
  }
  for (const Device device : hosts) {
    NPairsStatistics statistics;
    const Tensor z = Tensor::from(features, {2 * images, dim}, device);
    CHECK(value(n_pairs(z, labels_on(device, labels), {.temperature = 0.5f}, &statistics)) ==
          doctest::Approx(expected).epsilon(1e-6));
    CHECK(statistics.negatives.to_vector<std::int32_t>() == std::vector<std::int32_t>{4, 3, 4, 3, 4});
  }
}

TEST_CASE("simclr: with image indices as labels, and an image drawn twice is one image") {
  for (const Device device : hosts) {
    const Tensor z = Tensor::from(unit_rows(8, 4), {8, 4}, device);
    const Tensor indices = labels_on(device, {10, 11, 10, 12});
    SupConStatistics statistics;
    // The images are 10, 11, 10 and 12, and row r is image r mod 4.
    const std::vector<float> rows = z.to_vector<float>();
    const int image[] = {10, 11, 10, 12, 10, 11, 10, 12};
    double expected = 0;
    for (int i = 0; i < 8; ++i) {
      double denominator = 0, positives = 0, sum = 0;
      for (int j = 0; j < 8; ++j) {
        if (j == i) continue;
        double dot = 0;
        for (int d = 0; d < 4; ++d) dot += static_cast<double>(rows[4 * i + d]) * rows[4 * j + d];
        denominator += std::exp(dot / 0.2);
        if (image[i] != image[j]) continue;
        positives += 1;
        sum += dot / 0.2;
      }
      expected += (std::log(denominator) - sum / positives) / 8;
    }
    CHECK(value(supcon(z, simclr_labels(indices, 2), {.temperature = 0.2f}, &statistics)) ==
          doctest::Approx(expected).epsilon(1e-6));
    CHECK(statistics.positives.to_vector<std::int32_t>() == std::vector<std::int32_t>{3, 1, 3, 1, 3, 1, 3, 1});
  }
}

TEST_CASE("metric losses: what they refuse") {
  for (const Device device : hosts) {
    const Tensor z = Tensor::from(unit_rows(4, 3), {4, 3}, Device::cpu).to(device, DType::f32);
    const Tensor labels = labels_on(device, {0, 1, 0, 1}), three = labels_on(device, {0, 1, 0});
    const Tensor negative = labels_on(device, {0, 1, 0, -1});
    for (const float margin : {-0.1f, std::nanf("")}) {
      CHECK(code_of([&] { triplet(z, labels, {.margin = margin}); }) == ExitCode::usage);
      CHECK(code_of([&] { max_margin(z, labels, {.margin = margin}); }) == ExitCode::usage);
    }
    for (const auto& loss : std::vector<std::function<Tensor(const Tensor&, const Tensor&)>>{
             [](const Tensor&rows, const Tensor&l) { return triplet(rows, l); },
             [](const Tensor&rows, const Tensor&l) { return max_margin(rows, l); },
             [](const Tensor&rows, const Tensor&l) { return n_pairs(rows, l); }}) {
      CHECK(code_of([&] { loss(z, labels); }) == ExitCode::ok);
      CHECK(code_of([&] { loss(z, three); }) == ExitCode::internal);
      CHECK(code_of([&] { loss(z.rows(0, 0), labels_on(device, {})); }) != ExitCode::ok);
      CHECK(code_of([&] { loss(z, negative); }) == ExitCode::data);
      CHECK(code_of([&] { loss(z, Tensor::zeros({4}, DType::f32, device)); }) == ExitCode::internal);
    }
    CHECK(code_of([&] { n_pairs(z.rows(0, 3), three); }) == ExitCode::usage);
    CHECK(code_of([&] { n_pairs(z, labels, {.temperature = 0}); }) == ExitCode::usage);
  }
}

TEST_CASE("metric losses: what is not finite shows in the loss") {
  for (const Device device : hosts) {
    const Tensor z = Tensor::from(std::vector<float>{1, 0, std::nanf(""), 1, 0, 1, 1, 1}, {4, 2}, device);
    const Tensor labels = labels_on(device, {0, 0, 1, 1});
    CHECK_FALSE(std::isfinite(value(triplet(z, labels))));
    CHECK_FALSE(std::isfinite(value(max_margin(z, labels))));
    CHECK_FALSE(std::isfinite(value(n_pairs(z, labels_on(device, {0, 1, 0, 1})))));
  }
}

}  // namespace
}  // namespace kindred
