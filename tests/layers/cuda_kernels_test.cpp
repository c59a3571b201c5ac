// Parts of the GPU's kernels for elements, pooling and rows that the gradient registry does not reach: windows
// at odd addresses, ties, NaNs, extremes, bytes. On a GPU or an emulated GPU (CMake preset `emulated`).
#include "../gpu.h"

#include <kindred/engine/device_kernels.h>
#include <kindred/engine/kernels/accumulate.h>
#include <kindred/layers/image_input/kernels.h>
#include <kindred/layers/l2_normalize/kernels.h>
#include <kindred/layers/pointwise/kernels.h>
#include <kindred/layers/pooling/kernels.h>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace kindred {
namespace {

const DType float_types[] = {DType::f32, DType::bf16, DType::f16};
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

// Small multiples of 1/8, exact in every type; many are equal.
std::vector<float> eighths(std::int64_t count, std::int64_t period) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i)
    values.push_back(static_cast<float>(i * 7 % period - period / 2) / 8);
  return values;
}

Tensor on_cuda(const std::vector<float>& values, const Shape& shape, DType dtype) {
  return Tensor::from(values, shape, Device::reference).to(Device::cuda, dtype);
}

// Elements [first, first + count) of a larger tensor whose other elements are 99.
Tensor inner_window(Tensor& whole, std::int64_t first, std::int64_t count) {
  whole.fill(99);
  return whole.window(first, {count});
}

// Everything outside the window is still 99.
bool surroundings_are_whole(const Tensor& whole, std::int64_t first, std::int64_t count) {
  const std::vector<float> values = whole.to_vector<float>();
  for (std::int64_t i = 0; i < whole.numel(); ++i)
    if ((i < first || i >= first + count) && values[static_cast<std::size_t>(i)] != 99) return false;
  return true;
}

TEST_CASE("on a GPU, what is timed with is random numbers" * test::needs_gpu) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16, DType::u8}) {
    CAPTURE(name(dtype));
    const Tensor tensor = Tensor::empty({5000}, dtype, Device::cuda);
    gpu().randomize(Output(tensor));
    const auto values = tensor.to_vector<double>();
    const bool bytes = dtype == DType::u8;
    double sum = 0, squares = 0;
    for (const double value : values) {
      const double centred = bytes ? (value - 127.5) / 128 : value;
      CHECK(std::abs(centred) <= 1);
      sum += centred;
      squares += centred * centred;
    }
    CHECK(std::abs(sum / 5000) < 0.03);
    CHECK(squares / 5000 == doctest::Approx(1.0 / 3).epsilon(0.05));
  }
}

TEST_CASE("on a GPU, sums and the rectifier take any length at any address" * test::needs_gpu) {
  for (const DType dtype : float_types)
    for (const std::int64_t first : {0, 1, 3, 8})
      for (const std::int64_t count : {0, 1, 7, 8, 9, 2051}) {
        CAPTURE(name(dtype));
        CAPTURE(first);
        CAPTURE(count);
        const std::vector<float> a = eighths(count, 15), b = eighths(count, 13);
        Tensor whole = Tensor::empty({count + 16}, dtype, Device::cuda);
        Tensor target = inner_window(whole, first, count);
        target.copy_from(on_cuda(a, {count}, dtype));
        accumulate(Output(target), on_cuda(b, {count}, dtype));
        std::vector<float> sum = a;
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += b[i];
        CHECK(target.to_vector<float>() == sum);
        CHECK(surroundings_are_whole(whole, first, count));

        const Tensor rectified = inner_window(whole, first, count);
        pointwise_kernels(Device::cuda).relu_forward(on_cuda(a, {count}, dtype), Output(rectified));
        std::vector<float> positive = a;
        for (float& value : positive) value = value < 0 ? 0 : value;
        CHECK(rectified.to_vector<float>() == positive);
        CHECK(surroundings_are_whole(whole, first, count));
        pointwise_kernels(Device::cuda).relu_backward(rectified, on_cuda(b, {count}, dtype), Output(rectified));
        std::vector<float> passed = b;
        for (std::size_t i = 0; i < passed.size(); ++i) passed[i] = a[i] > 0 ? b[i] : 0;
        CHECK(rectified.to_vector<float>() == passed);
        CHECK(surroundings_are_whole(whole, first, count));
      }
}

TEST_CASE("on a GPU, relu keeps a NaN and lets one through backward" * test::needs_gpu) {
  for (const DType dtype : float_types) {
    const Tensor x = on_cuda({-1, 0, 2, nan, -infinity, infinity, 1, 3, nan}, {9}, dtype);
    const Tensor y = Tensor::empty_like(x), dx = Tensor::empty_like(x);
    pointwise_kernels(Device::cuda).relu_forward(x, Output(y));
    const std::vector<float> values = y.to_vector<float>();
    CHECK(std::isnan(values[3]));
    CHECK(std::isnan(values[8]));
    CHECK(std::vector<float>(values.begin() + 4, values.begin() + 8) == std::vector<float>{0, infinity, 1, 3});
    pointwise_kernels(Device::cuda).relu_backward(y, Tensor::full({9}, nan, dtype, Device::cuda), Output(dx));
    const std::vector<float> gradient = dx.to_vector<float>();
    CHECK(gradient[0] == 0);
    CHECK(gradient[1] == 0);
    CHECK(std::isnan(gradient[2]));
  }
}

struct Pooled {
  std::vector<float> values, gradient;
  std::vector<int> places;
};

Pooled max_pool(const Tensor& x, const Window& window) {
  const auto outputs = [&](std::int64_t extent) {
    return (extent + 2 * window.pad - window.kernel) / window.stride + 1;
  };
  const Shape shape{x.dim(0), outputs(x.dim(1)), outputs(x.dim(2)), x.dim(3)};
  const Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  const Tensor places = Tensor::empty(shape, DType::u8, x.device());
  const Tensor dx = Tensor::empty_like(x);
  const PoolingKernels& kernels = pooling_kernels(x.device());
  kernels.max_forward(x, window, Output(y), Output(places));
  const Tensor dy =
      Tensor::from(eighths(shape.numel(), 17), shape, Device::reference).to(x.device(), x.dtype());
  kernels.max_backward(places, dy, window, Output(dx));
  return {y.to_vector<float>(), dx.to_vector<float>(), places.to_vector<int>()};
}

// With ties everywhere: values, places and sums of eighths are the same to the bit.
TEST_CASE("on a GPU, max pooling finds the same places as the definition" * test::needs_gpu) {
  const Window windows[] = {{3, 2, 1}, {2, 2, 0}, {2, 3, 0}, {3, 1, 1},
                            {5, 1, 2}, {5, 3, 2}, {1, 2, 0}, {2, 1, 1}};
  for (const DType dtype : float_types)
    for (const std::int64_t channels : {1, 3, 4, 8, 24})
      for (const Window& window : windows) {
        CAPTURE(name(dtype));
        CAPTURE(channels);
        CAPTURE(window.kernel);
        CAPTURE(window.stride);
        const Shape shape{2, 6, 7, channels};
        const std::vector<float> values = eighths(shape.numel(), 11);
        const Pooled plain = max_pool(Tensor::from(values, shape, Device::reference), window);
        const Pooled fast = max_pool(on_cuda(values, shape, dtype), window);
        CHECK(fast.values == plain.values);
        CHECK(fast.places == plain.places);
        CHECK(fast.gradient == plain.gradient);
      }
}

TEST_CASE("on a GPU, padding never wins and a NaN does" * test::needs_gpu) {
  for (const DType dtype : float_types)
    for (const std::int64_t channels : {1, 8}) {
      const Shape shape{1, 2, 2, channels};
      const Tensor low = Tensor::full(shape, -infinity, dtype, Device::cuda);
      const Pooled lowest = max_pool(low, {3, 2, 1});
      for (const float value : lowest.values) CHECK(value == -infinity);
      for (const int place : lowest.places) CHECK(place == 4);  // the first pixel of the image
      std::vector<float> values(static_cast<std::size_t>(shape.numel()), 7);
      for (std::int64_t c = 0; c < channels; ++c) values[static_cast<std::size_t>(channels + c)] = nan;
      const Pooled spoilt = max_pool(on_cuda(values, shape, dtype), {2, 2, 0});
      for (const float value : spoilt.values) CHECK(std::isnan(value));
      for (const int place : spoilt.places) CHECK(place == 1);
    }
}

TEST_CASE("on a GPU, l2_normalize has no gradient for short rows and no overflow" * test::needs_gpu) {
  const Tensor x = on_cuda({0, 0, 3e30f, 4e30f, 1e-20f, 0, 3e-11f, 4e-11f, nan, 1}, {5, 2}, DType::f32);
  const Tensor y = Tensor::empty_like(x), dx = Tensor::empty_like(x);
  const Tensor length = Tensor::empty({5}, DType::f32, Device::cuda);
  const L2NormalizeKernels& kernels = l2_normalize_kernels(Device::cuda);
  kernels.forward(x, Output(y), Output(length));
  const std::vector<float> rows = y.to_vector<float>();
  CHECK(rows[0] == 0);
  CHECK(rows[1] == 0);
  CHECK(rows[2] == doctest::Approx(0.6));
  CHECK(rows[3] == doctest::Approx(0.8));
  CHECK(rows[4] == doctest::Approx(1e-8));  // divided by 1e-12, not by its length
  CHECK(rows[6] == doctest::Approx(0.6));
  CHECK(rows[7] == doctest::Approx(0.8));
  CHECK(std::isnan(rows[8]));
  CHECK(std::isnan(rows[9]));
  kernels.backward(y, length, Tensor::full({5, 2}, 1, DType::f32, Device::cuda), Output(dx));
  const std::vector<float> gradient = dx.to_vector<float>();
  for (const std::size_t i : {0, 1, 4, 5}) CHECK(gradient[i] == 0);
  CHECK(gradient[6] == doctest::Approx((1 - 0.6 * 1.4) / 5e-11));
}

TEST_CASE("on a GPU, images become the same numbers as on the CPU" * test::needs_gpu) {
  std::vector<std::uint8_t> bytes;
  for (int i = 0; i < 3 * 5 * 61 * 3; ++i) bytes.push_back(static_cast<std::uint8_t>(i * 37));
  const Tensor host = Tensor::from(bytes, {3, 5, 61, 3}, Device::cpu);
  const Tensor images = host.to(Device::cuda, DType::u8);
  for (const std::int64_t first : {0, 1})  // the second image starts at an odd address
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const Tensor expected = normalize_images(host.rows(first, 3), cifar10_pixels, dtype);
      const Tensor y = Tensor::empty(expected.shape(), dtype, Device::cuda);
      image_input_kernels(Device::cuda).normalize(images.rows(first, 3), cifar10_pixels, Output(y));
      CHECK(y.to_vector<float>() == expected.to_vector<float>());
    }
  const std::vector<float> exact = normalize_images(host, cifar10_pixels, DType::f32).to_vector<float>();
  const Tensor half = Tensor::empty(host.shape(), DType::f16, Device::cuda);
  image_input_kernels(Device::cuda).normalize(images, cifar10_pixels, Output(half));
  const std::vector<float> halves = half.to_vector<float>();
  for (std::size_t i = 0; i < exact.size(); ++i) REQUIRE(halves[i] == static_cast<float>(Float16(exact[i])));
}

}  // namespace
}  // namespace kindred
