#include "gradcheck.h"

#include <kindred/layers/pointwise/pointwise.h>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace kindred::gradcheck {
namespace {

Case relu_case(const std::string& variant, const Shape& shape) {
  return {.operation = "relu",
          .variant = variant,
          .inputs = {away_from_zero(shape)},
          .function = [](const std::vector<Tensor>& in) { return relu(in[0]); }};
}

const bool added[] = {
    add_case(relu_case("matrix", {5, 7})),
    add_case(relu_case("image", {2, 3, 5, 3})),
    add_case({.operation = "relu",
              .variant = "more elements than one thread's share",
              .inputs = {away_from_zero({37, 1201})},
              .function = [](const std::vector<Tensor>& in) { return relu(in[0]); },
              .central_differences = false}),
    add_case({.operation = "add",
              .variant = "two tensors",
              .inputs = {uniform({3, 4, 5}), uniform({3, 4, 5})},
              .function = [](const std::vector<Tensor>& in) { return add(in[0], in[1]); }}),
    add_case({.operation = "add",
              .variant = "a tensor to itself",
              .inputs = {uniform({6, 3})},
              .function = [](const std::vector<Tensor>& in) { return add(in[0], in[0]); }}),
    add_case({.operation = "add",
              .variant = "a shortcut around relu",
              .inputs = {away_from_zero({67, 31})},
              .function = [](const std::vector<Tensor>& in) { return add(relu(in[0]), in[0]); },
              .central_differences = false}),
};

TEST_CASE("relu keeps a NaN and has no gradient at zero") {
  for (const Device device : {Device::reference, Device::cpu}) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const Tensor x = Tensor::from(std::vector<float>{-1, 0, 2, nan}, {4}, device).set_requires_grad();
    Tape tape;
    const Tensor y = relu(x);
    const auto values = y.to_vector<float>();
    CHECK(values[0] == 0);
    CHECK(values[1] == 0);
    CHECK(values[2] == 2);
    CHECK(std::isnan(values[3]));
    tape.backward(y, Tensor::full({4}, 1, DType::f32, device));
    const auto gradient = tape.gradient(x).to_vector<float>();
    CHECK(gradient[0] == 0);
    CHECK(gradient[1] == 0);
    CHECK(gradient[2] == 1);
  }
}

TEST_CASE("add refuses operands that do not match") {
  const Tensor a = Tensor::zeros({2, 3}, DType::f32, Device::cpu);
  CHECK_THROWS_AS(add(a, Tensor::zeros({3, 2}, DType::f32, Device::cpu)), Error);
  CHECK_THROWS_AS(add(a, Tensor::zeros({2, 3}, DType::bf16, Device::cpu)), Error);
  CHECK_THROWS_AS(add(a, Tensor::zeros({2, 3}, DType::f32, Device::reference)), Error);
}

}  // namespace
}  // namespace kindred::gradcheck
