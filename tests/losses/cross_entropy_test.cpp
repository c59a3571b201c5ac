// Cross-entropy for inputs with a known value. tests/gradcheck/cross_entropy_cases.cpp checks its gradient.
#include <kindred/engine/tape.h>
#include <kindred/losses/cross_entropy/cross_entropy.h>

#include "../golden/formula.h"

#include <doctest/doctest.h>

#include <cmath>

namespace kindred {
namespace {

constexpr Device hosts[] = {Device::reference, Device::cpu};

double loss_of(Device device, const std::vector<float>& logits, const std::vector<std::int32_t>& labels,
               float smoothing) {
  const auto rows = static_cast<std::int64_t>(labels.size());
  const Shape shape{rows, static_cast<std::int64_t>(logits.size()) / rows};
  return cross_entropy(Tensor::from(logits, shape, device), Tensor::from(labels, {rows}, device), smoothing)
      .to_vector<double>()[0];
}

TEST_CASE("cross_entropy: PyTorch's values and gradient, with label smoothing") {
  const nlohmann::json fixture = golden::load_fixture("cross_entropy");
  const std::int64_t rows = fixture.at("n"), classes = fixture.at("classes");
  const std::vector<double> logits = golden::formula("cross_entropy/logits", rows * classes, -3, 3);
  std::vector<double> expected;
  for (const auto& row : fixture.at("gradient")) expected.insert(expected.end(), row.begin(), row.end());
  for (const Device device : hosts) {
    const bool exact = device == Device::reference;
    Tensor x =
        Tensor::from(logits, {rows, classes}, Device::reference).to(device, exact ? DType::f64 : DType::f32);
    x.set_requires_grad();
    const Tensor labels = Tensor::from(fixture.at("labels").get<std::vector<std::int32_t>>(), {rows}, device);
    Tape tape;
    const Tensor loss = cross_entropy(x, labels, fixture.at("smoothing").get<float>());
    CHECK(loss.shape() == Shape{});
    CHECK(loss.to_vector<double>()[0] == doctest::Approx(fixture.at("loss").get<double>()).epsilon(1e-6));
    tape.backward(loss);
    const auto gradient = tape.gradient(x).to_vector<double>();
    REQUIRE(gradient.size() == expected.size());
    // The smoothing is rounded to float, which leaves 1e-8.
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK(std::abs(gradient[i] - expected[i]) < 1e-7);
  }
}

TEST_CASE("cross_entropy: equal logits give ln C, whatever the label and the smoothing") {
  for (const Device device : hosts)
    for (const float smoothing : {0.0f, 0.3f})
      CHECK(loss_of(device, std::vector<float>(3 * 5, 2.5f), {0, 4, 2}, smoothing) ==
            doctest::Approx(std::log(5.0)).epsilon(1e-6));
}

TEST_CASE("cross_entropy: large logits neither overflow nor vanish") {
  for (const Device device : hosts) {
    CHECK(loss_of(device, {1e3f, 0, -1e3f}, {0}, 0) == doctest::Approx(0));
    CHECK(loss_of(device, {1e3f, 0, -1e3f}, {2}, 0) == doctest::Approx(2000));
    CHECK(loss_of(device, {-300, -300}, {1}, 0) == doctest::Approx(std::log(2.0)).epsilon(1e-4));
  }
}

TEST_CASE("cross_entropy: bf16 logits give a f32 loss and a bf16 gradient") {
  const Tensor x = Tensor::zeros({2, 4}, DType::bf16, Device::cpu).set_requires_grad();
  Tape tape;
  const Tensor loss = cross_entropy(x, Tensor::from(std::vector<std::int32_t>{1, 3}, {2}, Device::cpu));
  CHECK(loss.dtype() == DType::f32);
  tape.backward(loss);
  CHECK(tape.gradient(x).dtype() == DType::bf16);
  CHECK(tape.gradient(x).to_vector<float>() ==
        std::vector<float>{0.125f, -0.375f, 0.125f, 0.125f, 0.125f, 0.125f, 0.125f, -0.375f});
}

TEST_CASE("cross_entropy: a label that is no class names its row") {
  for (const Device device : hosts) {
    for (const std::int32_t label : {-1, 3}) {
      try {
        loss_of(device, {0, 1, 2, 3, 4, 5}, {2, label}, 0);
        FAIL("a label out of range was accepted");
      } catch (const Error& error) {
        CHECK(error.code() == ExitCode::data);
        const std::string message = error.what();
        CHECK(message.find("row 1") != std::string::npos);
        CHECK(message.find("label " + std::to_string(label)) != std::string::npos);
      }
    }
    for (const float smoothing : {-0.1f, 1.0f, std::nanf("")})
      CHECK_THROWS_AS(loss_of(device, {0, 1, 2}, {0}, smoothing), Error);
  }
}

}  // namespace
}  // namespace kindred
