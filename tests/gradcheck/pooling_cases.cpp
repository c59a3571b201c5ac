#include "gradcheck.h"

#include <kindred/layers/pooling/pooling.h>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace kindred::gradcheck {
namespace {

// `distinct` values are up to half their number times 0.01 away from zero. In bf16 neighbours may become equal.
// Both devices then choose the same one, because the values are rounded before.
Case max_case(const std::string& variant, const Shape& shape, std::int64_t kernel, std::int64_t stride,
              std::int64_t pad, bool small = true) {
  return {.operation = "max_pool2d",
          .variant = variant,
          .inputs = {distinct(shape)},
          .function = [=](const std::vector<Tensor>& in) { return max_pool2d(in[0], kernel, stride, pad); },
          .central_differences = small};
}

Case average_case(const std::string& variant, const Shape& shape, bool small = true) {
  return {.operation = "global_average_pool",
          .variant = variant,
          .inputs = {uniform(shape)},
          .function = [](const std::vector<Tensor>& in) { return global_average_pool(in[0]); },
          .central_differences = small};
}

const bool added[] = {
    add_case(max_case("3x3, stride 2, pad 1", {2, 7, 6, 3}, 3, 2, 1)),
    add_case(max_case("windows that touch", {1, 6, 4, 2}, 2, 2, 0)),
    add_case(max_case("gaps between windows", {2, 8, 7, 2}, 2, 3, 0)),
    add_case(max_case("pixels left over", {1, 8, 9, 3}, 3, 2, 0)),
    add_case(max_case("stride 1", {1, 5, 5, 2}, 3, 1, 1)),
    add_case(max_case("one pixel", {2, 1, 1, 3}, 3, 2, 1)),
    add_case(max_case("5x5", {1, 9, 8, 2}, 5, 3, 2)),
    add_case(max_case("the stem's", {3, 31, 29, 17}, 3, 2, 1, false)),
    // Channels that fill whole packs of a GPU's loads, and rows of more than one block's threads.
    add_case(max_case("packs of channels", {1, 4, 31, 72}, 3, 2, 1, false)),
    add_case(max_case("packs of channels, gaps between windows", {2, 8, 7, 16}, 2, 3, 0, false)),
    add_case(average_case("small", {2, 3, 4, 5})),
    add_case(average_case("one pixel", {3, 1, 1, 4})),
    add_case(average_case("odd sizes", {5, 7, 7, 67}, false)),
    add_case(average_case("packs of channels", {3, 3, 2, 1032}, false)),
};

struct Pooled {
  std::vector<float> values, gradient;
};

Pooled pool(const std::vector<float>& values, const Shape& shape, std::int64_t kernel, std::int64_t stride,
            std::int64_t pad, Device device) {
  const Tensor x = Tensor::from(values, shape, device).set_requires_grad();
  Tape tape;
  const Tensor y = max_pool2d(x, kernel, stride, pad);
  tape.backward(y, Tensor::full(y.shape(), 1, DType::f32, device));
  return {y.to_vector<float>(), tape.gradient(x).to_vector<float>()};
}

TEST_CASE("max_pool2d: among equals the first in row-major order gets the gradient") {
  for (const Device device : {Device::reference, Device::cpu}) {
    const Pooled pooled = pool({1, 5, 5, 5}, {1, 2, 2, 1}, 2, 1, 0, device);
    CHECK(pooled.values == std::vector<float>{5});
    CHECK(pooled.gradient == std::vector<float>{0, 1, 0, 0});
    // Gradients of overlapping windows add: the centre of a 3x3 image is the maximum of all four 2x2 windows.
    const Pooled overlapping = pool({0, 0, 0, 0, 9, 0, 0, 0, 0}, {1, 3, 3, 1}, 2, 1, 0, device);
    CHECK(overlapping.gradient == std::vector<float>{0, 0, 0, 0, 4, 0, 0, 0, 0});
  }
}

TEST_CASE("max_pool2d: padding never wins, not even against the lowest values, and a NaN does") {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const Device device : {Device::reference, Device::cpu}) {
    const Pooled low = pool({-infinity, -infinity, -infinity, -infinity}, {1, 2, 2, 1}, 3, 2, 1, device);
    CHECK(low.values == std::vector<float>{-infinity});
    CHECK(low.gradient == std::vector<float>{1, 0, 0, 0});
    const Pooled nan = pool({1, std::nanf(""), 7, 2}, {1, 2, 2, 1}, 2, 2, 0, device);
    CHECK(std::isnan(nan.values[0]));
  }
}

TEST_CASE("pooling refuses what it cannot do") {
  const Tensor x = Tensor::zeros({1, 4, 4, 2}, DType::f32, Device::cpu);
  CHECK_THROWS_AS(max_pool2d(x, 3, 2, 2), Error);   // a window that holds only padding
  CHECK_THROWS_AS(max_pool2d(x, 16, 1, 8), Error);  // a place in the window would not fit a byte
  CHECK_THROWS_AS(max_pool2d(x, 3, 0, 1), Error);
  CHECK_THROWS_AS(max_pool2d(x, 5, 1, 0), Error);  // larger than the image
  CHECK_THROWS_AS(max_pool2d(x.reshape({4, 8}), 3, 2, 1), Error);
  CHECK_THROWS_AS(global_average_pool(x.reshape({4, 8})), Error);
}

}  // namespace
}  // namespace kindred::gradcheck
