// The convolutions that are written for vectors (direct.h, winograd.h, pixel_products.h), each against plain loops, whether
// or not it would be chosen for the shape: edges of tiles, remainders of register blocks, strides and addends. They run with
// the vectors of this machine; scripts/test.sh runs them again with narrower ones (KINDRED_CPU).
#include <kindred/engine/cpu/targets.h>
#include <kindred/engine/random/philox.h>
#include <kindred/layers/conv2d/direct.h>
#include <kindred/layers/conv2d/kernels.h>
#include <kindred/layers/conv2d/scratch_kernels.h>

#include <doctest/doctest.h>

#include <cmath>

namespace kindred {
namespace {

Tensor random_tensor(const Shape& shape, std::uint64_t seed) {
  Tensor tensor = Tensor::empty(shape, DType::f32, Device::cpu);
  RandomStream random(seed, Purpose::test);
  for (std::int64_t i = 0; i < tensor.numel(); ++i) tensor.data<float>()[i] = random.uniform(-1, 1);
  return tensor;
}

// Results begin as NaN, so that an element that no kernel writes is noticed.
Tensor unwritten(const Shape& shape) {
  Tensor tensor = Tensor::empty(shape, DType::f32, Device::cpu);
  for (std::int64_t i = 0; i < tensor.numel(); ++i) tensor.data<float>()[i] = std::nanf("");
  return tensor;
}

// The length of the difference by the length of the reference, both over all elements.
double relative_error(const Tensor& result, const Tensor& reference) {
  double error = 0, length = 0;
  for (std::int64_t i = 0; i < reference.numel(); ++i) {
    const double expected = reference.data<float>()[i], difference = result.data<float>()[i] - expected;
    error += difference * difference;
    length += expected * expected;
  }
  REQUIRE(length > 0);
  return std::sqrt(error / length);
}

ConvShape shape_of(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c, std::int64_t k,
                   std::int64_t side, std::int64_t stride, std::int64_t pad) {
  return {n,
          h,
          w,
          c,
          k,
          side,
          side,
          stride,
          pad,
          (h + 2 * pad - side) / stride + 1,
          (w + 2 * pad - side) / stride + 1};
}

// The operands of a convolution, and what plain loops make of them.
struct Expected {
  explicit Expected(const ConvShape& shape)
      : s(shape),
        x(random_tensor({s.n, s.h, s.w, s.c}, 1)),
        w(random_tensor({s.k, s.kh, s.kw, s.c}, 2)),
        dy(random_tensor({s.n, s.out_h, s.out_w, s.k}, 3)),
        addend(random_tensor({s.n, s.h, s.w, s.c}, 4)),
        y(unwritten({s.n, s.out_h, s.out_w, s.k})),
        dx(unwritten({s.n, s.h, s.w, s.c})),
        dx_and_addend(unwritten({s.n, s.h, s.w, s.c})),
        dw(unwritten({s.k, s.kh, s.kw, s.c})) {
    conv2d_reference.forward(s, x, w, Output(y));
    conv2d_reference.backward_data(s, dy, w, {}, Output(dx));
    conv2d_reference.backward_data(s, dy, w, addend, Output(dx_and_addend));
    conv2d_reference.backward_weight(s, x, dy, Output(dw));
  }
  ConvShape s;
  Tensor x, w, dy, addend, y, dx, dx_and_addend, dw;
};

constexpr double tolerance = 1e-6;
constexpr double tolerance_of_winograd = 4e-6;  // sums of transformed numbers cancel

void check_direct(const ConvShape& s) {
  const Expected expected(s);
  if (direct::supports(ConvPass::forward, s)) {
    const Tensor y = unwritten({s.n, s.out_h, s.out_w, s.k});
    direct::forward(s, expected.x.data<float>(), expected.w.data<float>(), y.data<float>());
    CHECK(relative_error(y, expected.y) < tolerance);
  }
  if (direct::supports(ConvPass::backward_data, s)) {
    const Tensor dx = unwritten({s.n, s.h, s.w, s.c});
    direct::backward_data(s, expected.dy.data<float>(), expected.w.data<float>(), nullptr, dx.data<float>());
    CHECK(relative_error(dx, expected.dx) < tolerance);
    const Tensor in_place = expected.addend.to(Device::cpu, DType::f32);
    direct::backward_data(s, expected.dy.data<float>(), expected.w.data<float>(), in_place.data<float>(),
                          in_place.data<float>());
    CHECK(relative_error(in_place, expected.dx_and_addend) < tolerance);
  }
  if (direct::supports(ConvPass::backward_weight, s)) {
    const Tensor dw = unwritten({s.k, s.kh, s.kw, s.c});
    direct::backward_weight(s, expected.x.data<float>(), expected.dy.data<float>(), dw.data<float>());
    CHECK(relative_error(dw, expected.dw) < tolerance);
  }
}

void check_with_scratch(const ScratchKernels& kernels, const ConvShape& s, double most_error) {
  REQUIRE(kernels.supports(s));
  const Expected expected(s);
  const auto scratch = [&](ConvPass pass) {
    return unwritten({kernels.scratch_floats(pass, s)});  // a kernel must not read what it has not written
  };
  const Tensor of_forward = scratch(ConvPass::forward), of_data = scratch(ConvPass::backward_data);
  const Tensor of_weight = scratch(ConvPass::backward_weight);
  const Tensor y = unwritten({s.n, s.out_h, s.out_w, s.k}), dx = unwritten({s.n, s.h, s.w, s.c});
  const Tensor sum = unwritten({s.n, s.h, s.w, s.c}), dw = unwritten({s.k, s.kh, s.kw, s.c});
  const float* dy = expected.dy.data<float>();
  const float* w = expected.w.data<float>();
  kernels.forward(s, expected.x.data<float>(), w, y.data<float>(), of_forward.data<float>());
  kernels.backward_data(s, dy, w, nullptr, dx.data<float>(), of_data.data<float>());
  kernels.backward_data(s, dy, w, expected.addend.data<float>(), sum.data<float>(), of_data.data<float>());
  kernels.backward_weight(s, expected.x.data<float>(), dy, dw.data<float>(), of_weight.data<float>());
  CHECK(relative_error(y, expected.y) < most_error);
  CHECK(relative_error(dx, expected.dx) < most_error);
  CHECK(relative_error(sum, expected.dx_and_addend) < most_error);
  CHECK(relative_error(dw, expected.dw) < most_error);
}

}  // namespace

TEST_CASE(
    "convolutions for vectors: direct, every number of pixels that is left in a row, strides and borders") {
  for (std::int64_t width = 1; width <= 17; ++width) {
    CAPTURE(width);
    check_direct(shape_of(2, 3, width, 16, 32, 3, 1, 1));
    check_direct(shape_of(1, 5, width, 3, 16, 3, 1, 1));
    check_direct(shape_of(2, 4, width + 1, 16, 16, 3, 2, 1));
  }
  check_direct(shape_of(1, 17, 19, 3, 64, 7, 2, 3));
  check_direct(shape_of(3, 7, 6, 32, 48, 1, 2, 0));
  check_direct(shape_of(2, 6, 9, 64, 16, 3, 1, 0));
}

TEST_CASE("convolutions for vectors: direct, where nothing would be compared") {
  CHECK(direct::supports(ConvPass::forward, shape_of(2, 3, 5, 16, 32, 3, 1, 1)));
  CHECK(direct::supports(ConvPass::backward_data, shape_of(2, 3, 5, 16, 32, 3, 1, 1)));
  CHECK(direct::supports(ConvPass::backward_weight, shape_of(2, 3, 5, 16, 32, 3, 1, 1)));
}

TEST_CASE("convolutions for vectors: Winograd, tiles that reach beyond the image") {
  for (std::int64_t side = 1; side <= 9; ++side) {
    CAPTURE(side);
    check_with_scratch(winograd_kernels, shape_of(3, side, 10 - side, 16, 32, 3, 1, 1), tolerance_of_winograd);
  }
  check_with_scratch(winograd_kernels, shape_of(5, 14, 13, 48, 16, 3, 1, 1), tolerance_of_winograd);
  check_with_scratch(winograd_kernels, shape_of(2, 8, 8, 96, 80, 3, 1, 1), tolerance_of_winograd);
}

TEST_CASE("convolutions for vectors: products by pixel, any number of images") {
  for (const std::int64_t images : {1, 2, 5, 12, 13, 16, 19}) {
    CAPTURE(images);
    check_with_scratch(pixel_product_kernels, shape_of(images, 2, 2, 32, 64, 3, 1, 1), tolerance);
  }
  check_with_scratch(pixel_product_kernels, shape_of(4, 4, 3, 64, 32, 3, 2, 1), tolerance);
  check_with_scratch(pixel_product_kernels, shape_of(3, 5, 4, 32, 32, 1, 2, 0), tolerance);
}

}  // namespace kindred
