#include "gradcheck.h"

#include <kindred/layers/concatenate/concatenate.h>

#include <doctest/doctest.h>

namespace kindred::gradcheck {
namespace {

const bool added[] = {
    add_case({.operation = "concatenate",
              .variant = "rows",
              .inputs = {uniform({3, 4}), uniform({5, 4})},
              .function = [](const std::vector<Tensor>& in) { return concatenate(in[0], in[1]); }}),
    add_case({.operation = "concatenate",
              .variant = "a tensor and its own result, images",
              .inputs = {uniform({2, 3, 2, 5}), uniform({1, 3, 2, 5})},
              .function =
                  [](const std::vector<Tensor>& in) { return concatenate(in[0], concatenate(in[1], in[0])); }}),
};

TEST_CASE("concatenate: parts that do not fit") {
  const auto make = [](const Shape& shape, DType dtype = DType::f32) {
    return Tensor::zeros(shape, dtype, Device::cpu);
  };
  CHECK_THROWS_AS(concatenate(make({2, 3}), make({2, 4})), Error);
  CHECK_THROWS_AS(concatenate(make({2, 3}), make({6})), Error);
  CHECK_THROWS_AS(concatenate(make({}), make({})), Error);
  CHECK_THROWS_AS(concatenate(make({2, 3}), make({2, 3}, DType::f64)), Error);
  CHECK(concatenate(make({2, 3}), make({4, 3})).shape() == Shape{6, 3});
}

}  // namespace
}  // namespace kindred::gradcheck
