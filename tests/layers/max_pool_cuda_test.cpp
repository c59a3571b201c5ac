// ResNet's max pooling on a GPU or an emulated GPU, which has kernels for its window alone: images of all small sizes,
// random cotangents, ties and NaNs, against the definition.
#include "../gpu.h"

#include <kindred/engine/memory.h>
#include <kindred/engine/random/philox.h>
#include <kindred/engine/recording.h>
#include <kindred/layers/pooling/kernels.h>

#include <doctest/doctest.h>

#include <bit>
#include <cstdint>
#include <limits>

namespace kindred {
namespace {

// Sixteenths of few different values, so that there are ties; and NaNs and infinities, if wanted.
Tensor drawn_pixels(const Shape& shape, std::uint32_t which, bool extremes) {
  RandomStream random(53, Purpose::test, which);
  std::vector<float> values;
  for (std::int64_t i = 0; i < shape.numel(); ++i) {
    const std::uint32_t drawn = random.below(64);
    float value = static_cast<float>(drawn % 9) / 16 - 0.25f;
    if (extremes && drawn < 4)
      value = drawn == 0   ? std::numeric_limits<float>::quiet_NaN()
              : drawn == 1 ? std::numeric_limits<float>::infinity()
              : drawn == 2 ? -std::numeric_limits<float>::infinity()
                           : -0.0f;
    values.push_back(value);
  }
  return Tensor::from(values, shape, Device::reference);
}

struct PoolingResult {
  Tensor y, places, dx;

  PoolingResult(const Shape& x, const Shape& pooled, DType dtype, Device device)
      : y(Tensor::full(pooled, 99, dtype, device)),
        places(Tensor::full(pooled, 99, DType::u8, device)),
        dx(Tensor::full(x, 99, dtype, device)) {}
  void run(const Tensor& x, const Tensor& dy, const Window& window) {
    const PoolingKernels& kernels = pooling_kernels(x.device());
    kernels.max_forward(x, window, Output(y), Output(places));
    kernels.max_backward(places, dy, window, Output(dx));
  }
};

// To the bit, but for the bits of NaNs.
bool same_numbers(const Tensor& a, const Tensor& b) {
  const std::vector<float> x = a.to_vector<float>(), y = b.to_vector<float>();
  for (std::size_t i = 0; i < x.size(); ++i)
    if (std::bit_cast<std::uint32_t>(x[i]) != std::bit_cast<std::uint32_t>(y[i]) &&
        (x[i] == x[i] || y[i] == y[i]))
      return false;
  return x.size() == y.size();
}

Shape pooled_shape(const Shape& x, const Window& w) {
  return {x[0], (x[1] + 2 * w.pad - w.kernel) / w.stride + 1, (x[2] + 2 * w.pad - w.kernel) / w.stride + 1,
          x[3]};
}

void check_against_definition(const Shape& shape, const Window& window, DType dtype, bool extremes,
                              std::uint32_t which) {
  CAPTURE(name(dtype));
  CAPTURE(shape);
  CAPTURE(window.pad);
  const Shape pooled = pooled_shape(shape, window);
  const Tensor x = drawn_pixels(shape, which, extremes), dy = drawn_pixels(pooled, which + 1, false);
  PoolingResult plain(shape, pooled, DType::f32, Device::reference), fast(shape, pooled, dtype, Device::cuda);
  plain.run(x, dy, window);
  fast.run(x.to(Device::cuda, dtype), dy.to(Device::cuda, dtype), window);
  CHECK(same_numbers(fast.y, plain.y));
  CHECK(fast.places.to_vector<int>() == plain.places.to_vector<int>());
  CHECK(same_numbers(fast.dx, plain.dx));
}

TEST_CASE("max pooling on a GPU: ResNet's window, images of all small sizes" * test::needs_gpu) {
  std::uint32_t which = 0;
  for (const std::int64_t pad : {0, 1})
    for (std::int64_t height = 3 - 2 * pad; height <= 7; ++height)
      for (std::int64_t width = 3 - 2 * pad; width <= 7; ++width)
        for (const std::int64_t channels : {5, 8}) {
          const DType dtype = which % 3 == 0 ? DType::f32 : which % 3 == 1 ? DType::bf16 : DType::f16;
          check_against_definition({2, height, width, channels}, {3, 2, pad}, dtype, which % 4 == 0, which);
          which += 2;
        }
}

// More packs than a block has threads; numbers of packs that are no powers of two.
TEST_CASE("max pooling on a GPU: ResNet's window, many channels" * test::needs_gpu) {
  std::uint32_t which = 500;
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16})
    for (const std::int64_t channels : {24, 64, 72})
      for (const std::int64_t pad : {0, 1})
        check_against_definition({2, 6, 37, channels}, {3, 2, pad}, dtype, true, which += 2);
}

TEST_CASE("max pooling on a GPU: an unaligned window of a tensor" * test::needs_gpu) {
  const Window window{3, 2, 1};
  const Shape all{3, 5, 5, 5},
      part{2, 5, 5, 5};  // in 16 bits the second image starts at an odd multiple of two bytes
  const Tensor x = drawn_pixels(all, 900, true), dy = drawn_pixels(pooled_shape(all, window), 901, false);
  PoolingResult plain(part, pooled_shape(part, window), DType::f32, Device::reference),
      fast(part, pooled_shape(part, window), DType::bf16, Device::cuda);
  plain.run(x.rows(1, 3), dy.rows(1, 3), window);
  fast.run(x.to(Device::cuda, DType::bf16).rows(1, 3), dy.to(Device::cuda, DType::bf16).rows(1, 3), window);
  CHECK(same_numbers(fast.y, plain.y));
  CHECK(same_numbers(fast.dx, plain.dx));
}

TEST_CASE("max pooling on a GPU: recorded and replayed twice" * test::needs_gpu) {
  const Window window{3, 2, 1};
  const Shape shape{2, 9, 6, 16}, pooled = pooled_shape(shape, window);
  Tensor x = Tensor::zeros(shape, DType::bf16, Device::cuda);
  Tensor dy = Tensor::zeros(pooled, DType::bf16, Device::cuda);
  PoolingResult fast(shape, pooled, DType::bf16, Device::cuda);
  const Recording recording(new_memory_pool(Device::cuda), [&] { fast.run(x, dy, window); });
  for (const std::uint32_t which : {1000u, 1002u}) {
    const Tensor host_x = drawn_pixels(shape, which, true), host_dy = drawn_pixels(pooled, which + 1, false);
    x.copy_from(host_x.to(Device::cuda, DType::bf16));
    dy.copy_from(host_dy.to(Device::cuda, DType::bf16));
    recording.replay();
    PoolingResult plain(shape, pooled, DType::f32, Device::reference);
    plain.run(host_x, host_dy, window);
    CHECK(same_numbers(fast.y, plain.y));
    CHECK(fast.places.to_vector<int>() == plain.places.to_vector<int>());
    CHECK(same_numbers(fast.dx, plain.dx));
  }
}

}  // namespace
}  // namespace kindred
