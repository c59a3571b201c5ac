#include "gradcheck.h"

#include <kindred/layers/l2_normalize/l2_normalize.h>

#include <doctest/doctest.h>

#include <cmath>

namespace kindred::gradcheck {
namespace {

Case l2_case(const std::string& variant, std::int64_t rows, std::int64_t dim, bool small) {
  return {.operation = "l2_normalize",
          .variant = variant,
          .inputs = {uniform({rows, dim})},
          .function = [](const std::vector<Tensor>& in) { return l2_normalize(in[0]); },
          .central_differences = small};
}

const bool added[] = {
    add_case(l2_case("small", 5, 7, true)),
    add_case(l2_case("one row", 1, 3, true)),
    add_case(l2_case("odd sizes", 261, 129, false)),
};

// The gradient of the sum of y's elements.
std::vector<float> gradient_of_sum(const Tensor& x) {
  Tape tape;
  const Tensor y = l2_normalize(x);
  tape.backward(y, Tensor::full(y.shape(), 1, y.dtype(), y.device()));
  return tape.gradient(x).to_vector<float>();
}

TEST_CASE("l2_normalize: a row of zeros stays one and has no gradient") {
  for (const Device device : {Device::reference, Device::cpu}) {
    const Tensor x =
        Tensor::from(std::vector<float>{0, 0, 3, 4, 1e-20f, 0}, {3, 2}, device).set_requires_grad();
    const std::vector<float> y = l2_normalize(x).to_vector<float>();
    CHECK(y[0] == 0);
    CHECK(y[1] == 0);
    CHECK(y[2] == doctest::Approx(0.6));
    CHECK(y[3] == doctest::Approx(0.8));
    CHECK(y[4] == doctest::Approx(1e-8));  // divided by 1e-12, not by its length
    const std::vector<float> gradient = gradient_of_sum(x);
    for (const std::size_t i : {0, 1, 4, 5}) CHECK(gradient[i] == 0);
    CHECK(gradient[2] == doctest::Approx((1 - 0.6 * 1.4) / 5));
    CHECK(gradient[3] == doctest::Approx((1 - 0.8 * 1.4) / 5));
  }
}

TEST_CASE("l2_normalize: squares neither overflow nor vanish") {
  for (const Device device : {Device::reference, Device::cpu}) {
    const Tensor x = Tensor::from(std::vector<float>{3e30f, 4e30f, 3e-11f, 4e-11f}, {2, 2}, device);
    const std::vector<float> y = l2_normalize(x).to_vector<float>();
    for (const std::size_t row : {0, 1}) {
      CHECK(y[2 * row] == doctest::Approx(0.6));
      CHECK(y[2 * row + 1] == doctest::Approx(0.8));
    }
  }
}

TEST_CASE("l2_normalize: bf16 rows give f32 results and bf16 gradients") {
  const Tensor x = Tensor::full({2, 3}, 0.5, DType::bf16, Device::cpu).set_requires_grad();
  Tape tape;
  const Tensor y = l2_normalize(x);
  CHECK(y.dtype() == DType::f32);
  CHECK(y.to_vector<float>()[0] == doctest::Approx(1 / std::sqrt(3.0)));
  tape.backward(y, Tensor::full(y.shape(), 1, DType::f32, Device::cpu));
  CHECK(tape.gradient(x).dtype() == DType::bf16);
}

}  // namespace
}  // namespace kindred::gradcheck
