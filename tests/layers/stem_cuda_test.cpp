// The stem on a GPU or an emulated GPU: images that come with the zeros that convolutions compute with, what the layers
// make of them, and gradients of filters that are converted together.
#include "../emulated_gpu.h"
#include "sixteenths.h"

#include <kindred/engine/kernels/work.h>
#include <kindred/engine/recording.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/conv2d/conv2d.h>
#include <kindred/layers/conv2d/kernels.h>
#include <kindred/layers/image_input/kernels.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

namespace kindred {
namespace {

using test::sixteenths;

// What a block of memory holds before a kernel writes to it: NaN.
struct PoisonedGpu {
  PoisonedGpu() { memory_pool(Device::cuda).set_poison(true); }
  ~PoisonedGpu() { memory_pool(Device::cuda).set_poison(false); }
};

Tensor drawn_bytes(const Shape& shape, std::uint32_t which) {
  RandomStream random(52, Purpose::test, which);
  std::vector<std::uint8_t> bytes;
  for (std::int64_t i = 0; i < shape.numel(); ++i)
    bytes.push_back(static_cast<std::uint8_t>(random.below(256)));
  return Tensor::from(bytes, shape, Device::cpu);
}

// Rows of `columns` numbers, each followed by `fill` up to `width`.
std::vector<float> with_columns(const std::vector<float>& values, std::int64_t columns, std::int64_t width,
                                float fill) {
  std::vector<float> wide;
  for (std::size_t i = 0; i < values.size(); ++i) {
    wide.push_back(values[i]);
    if ((i + 1) % static_cast<std::size_t>(columns) == 0)
      wide.insert(wide.end(), static_cast<std::size_t>(width - columns), fill);
  }
  return wide;
}

// 16-bit results: the relative error of a rounding is at most 2^-8, and sums have at most 500 terms below 1.
void check_near(const Tensor& found, const std::vector<float>& expected, float tolerance) {
  const std::vector<float> values = found.to_vector<float>();
  REQUIRE(values.size() == expected.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    REQUIRE(std::abs(values[i] - expected[i]) <= tolerance * (1 + std::abs(expected[i])));
}

TEST_CASE("stem on a GPU: images of 16 bits come with zeros up to eight channels" * test::needs_gpu) {
  const PoisonedGpu poisoned;
  CHECK(input_channels(Device::cpu, DType::bf16) == 3);
  CHECK(input_channels(Device::cuda, DType::f32) == 3);
  // One pixel, a row, more than a block's 2048 pixels, and exactly as many.
  for (const Shape& shape : {Shape{3, 1, 1, 3}, Shape{3, 1, 7, 3}, Shape{3, 33, 37, 3}, Shape{3, 32, 64, 3}}) {
    const Tensor host = drawn_bytes(shape, static_cast<std::uint32_t>(shape.numel()));
    const Tensor images = host.to(Device::cuda, DType::u8);
    for (const std::int64_t first : {0, 1})  // the second image starts at an odd address
      for (const DType dtype : {DType::bf16, DType::f16}) {
        CAPTURE(shape);
        CAPTURE(name(dtype));
        const Tensor y = normalize_images(images.rows(first, 3), cifar10_pixels, dtype);
        REQUIRE(y.shape() == Shape({3 - first, shape[1], shape[2], 8}));
        REQUIRE(input_channels(Device::cuda, dtype) == 8);
        std::vector<float> expected =
            normalize_images(host.rows(first, 3), cifar10_pixels, DType::f32).to_vector<float>();
        for (float& value : expected)
          value = dtype == DType::bf16 ? float(BFloat16(value)) : float(Float16(value));
        CHECK(y.to_vector<float>() == with_columns(expected, 3, 8, 0));
      }
  }
  CHECK(normalize_images(Tensor::empty({0, 4, 4, 3}, DType::u8, Device::cuda), cifar10_pixels, DType::bf16)
            .shape() == Shape({0, 4, 4, 8}));
  const Tensor bytes = drawn_bytes({1, 2, 2, 3}, 1).to(Device::cuda, DType::u8);
  for (const DType dtype : {DType::f32, DType::bf16})  // neither five channels nor eight of 32 bits
    CHECK_THROWS_AS(
        image_input_kernels(Device::cuda)
            .normalize(bytes, cifar10_pixels,
                       Output(Tensor::empty({1, 2, 2, dtype == DType::f32 ? 8 : 5}, dtype, Device::cuda))),
        Error);
}

struct StemCase {
  std::int64_t n, h, w, k, kernel, stride, pad;
};
const StemCase stem_cases[] = {{2, 9, 11, 8, 7, 2, 3}, {1, 5, 4, 16, 3, 1, 1}, {3, 7, 7, 24, 3, 2, 0}};

TEST_CASE("stem on a GPU: convolutions of padded images are those of three colours" * test::needs_gpu) {
  const PoisonedGpu poisoned;
  const Conv2dKernels& kernels = conv2d_kernels(Device::cuda);
  for (const DType dtype : {DType::bf16, DType::f16})
    for (const StemCase& c : stem_cases) {
      CAPTURE(name(dtype));
      CAPTURE(c.kernel);
      const std::int64_t out_h = (c.h + 2 * c.pad - c.kernel) / c.stride + 1,
                         out_w = (c.w + 2 * c.pad - c.kernel) / c.stride + 1;
      const ConvShape s{c.n, c.h, c.w, 3, c.k, c.kernel, c.kernel, c.stride, c.pad, out_h, out_w};
      const Tensor x = sixteenths({c.n, c.h, c.w, 3}, 1), w = sixteenths({c.k, c.kernel, c.kernel, 3}, 2),
                   dy = sixteenths({c.n, out_h, out_w, c.k}, 3), addend = sixteenths(x.shape(), 4);
      const Tensor y = Tensor::empty(dy.shape(), DType::f32, Device::reference), dx = Tensor::empty_like(x),
                   sum = Tensor::empty_like(x), dw = Tensor::empty_like(w);
      conv2d_reference.forward(s, x, w, Output(y));
      conv2d_reference.backward_data(s, dy, w, Tensor(), Output(dx));
      conv2d_reference.backward_data(s, dy, w, addend, Output(sum));
      conv2d_reference.backward_weight(s, x, dy, Output(dw));

      const auto padded = [&](const Tensor& t, float fill) {
        return Tensor::from(with_columns(t.to_vector<float>(), 3, 8, fill), {c.n, c.h, c.w, 8},
                            Device::reference)
            .to(Device::cuda, dtype);
      };
      const Tensor gpu_x = padded(x, 0), gpu_w = w.to(Device::cuda, dtype), gpu_dy = dy.to(Device::cuda, dtype);
      const Tensor gpu_y = Tensor::empty(y.shape(), dtype, Device::cuda), gpu_dx = Tensor::empty_like(gpu_x),
                   gpu_dw = Tensor::empty(dw.shape(), DType::f32, Device::cuda);
      kernels.forward(s, gpu_x, gpu_w, Output(gpu_y));
      check_near(gpu_y, y.to_vector<float>(), 0.01f);
      kernels.backward_weight(s, gpu_x, gpu_dy, Output(gpu_dw));
      check_near(gpu_dw, dw.to_vector<float>(), 0.01f);
      // The additional channels get zeros, or the addend.
      kernels.backward_data(s, gpu_dy, gpu_w, Tensor(), Output(gpu_dx));
      check_near(gpu_dx, with_columns(dx.to_vector<float>(), 3, 8, 0), 0.01f);
      kernels.backward_data(s, gpu_dy, gpu_w, padded(addend, 0.5f), Output(gpu_dx));
      check_near(gpu_dx, with_columns(sum.to_vector<float>(), 3, 8, 0.5f), 0.02f);

      // The gradient in 16 bits, with more channels than the filters have, and its conversion.
      const Tensor narrow = kernels.narrow_backward_weight(s, gpu_x, gpu_dy);
      REQUIRE(narrow.defined());
      CHECK(narrow.dtype() == dtype);
      CHECK(narrow.shape() == Shape({c.k, c.kernel, c.kernel, 8}));
      const Tensor widened = Tensor::empty(dw.shape(), DType::f32, Device::cuda);
      const std::vector<Widening> gradient = {{narrow, Output(widened)}};
      kernels.widen(gradient);
      check_near(widened, dw.to_vector<float>(), 0.01f);
      // With three channels, as other programs may give them.
      const Tensor bare_x = x.to(Device::cuda, dtype), bare_dx = Tensor::empty_like(bare_x);
      kernels.forward(s, bare_x, gpu_w, Output(gpu_y));
      check_near(gpu_y, y.to_vector<float>(), 0.01f);
      kernels.backward_data(s, gpu_dy, gpu_w, Tensor(), Output(bare_dx));
      check_near(bare_dx, dx.to_vector<float>(), 0.01f);
    }
}

TEST_CASE("stem on a GPU: the layer takes padded images where a GPU pads them" * test::needs_gpu) {
  const Tensor filters = sixteenths({8, 3, 3, 3}, 5);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Tensor w = filters.to(Device::cuda, dtype);
    const auto takes = [&](std::int64_t channels) {
      try {
        return conv2d(Tensor::zeros({1, 5, 5, channels}, dtype, Device::cuda), w, {1, 1}).dim(3) == 8;
      } catch (const Error&) {
        return false;
      }
    };
    CHECK(takes(3));
    CHECK(takes(8) == (dtype == DType::bf16));
    for (const std::int64_t channels : {1, 4, 7, 16}) CHECK_FALSE(takes(channels));
  }
  CHECK_THROWS_AS(conv2d(Tensor::zeros({1, 5, 5, 8}, DType::bf16, Device::cpu),
                         filters.to(Device::cpu, DType::bf16), {1, 1}),
                  Error);
}

// Steps of a GPU's network are recorded; the images of the next step are written to the same address.
TEST_CASE("stem on a GPU: recorded, it sees the images of each replay" * test::needs_gpu) {
  const test::DeterministicPlans rule;
  Tensor images = drawn_bytes({2, 9, 11, 3}, 3).to(Device::cuda, DType::u8);
  const Tensor w = sixteenths({8, 7, 7, 3}, 6).to(Device::cuda, DType::bf16).set_requires_grad();
  Tensor dw = Tensor::zeros(w.shape(), DType::f32, Device::cuda);
  const Tensor dy = sixteenths({2, 5, 6, 8}, 7).to(Device::cuda, DType::bf16);
  Tensor y;
  const auto step = [&] {
    Tape tape;
    tape.set_gradient_buffer(w, dw);
    y = conv2d(normalize_images(images, imagenet_pixels, DType::bf16), w, {2, 3});
    tape.backward(y, dy);
  };
  std::vector<std::vector<float>> expected;
  const auto draw = [&](std::uint32_t which) {
    images.copy_from(drawn_bytes(images.shape(), which).to(Device::cuda, DType::u8));
  };
  for (const std::uint32_t which : {4u, 5u}) {
    draw(which);
    step();
    expected.push_back(y.to_vector<float>());
    expected.push_back(dw.to_vector<float>());
  }
  REQUIRE(expected[0] != expected[2]);
  REQUIRE(expected[1] != expected[3]);
  const Recording recording(new_memory_pool(Device::cuda), step);
  for (const std::uint32_t which : {4u, 5u}) {
    draw(which);
    dw.fill(99);
    recording.replay();
    CHECK(y.to_vector<float>() == expected[2 * (which - 4)]);
    CHECK(dw.to_vector<float>() == expected[2 * (which - 4) + 1]);
  }
}

TEST_CASE("stem: predicted, a GPU's images are written once with their zeros") {
  struct PlannedGpu {
    Device before = planned_device();
    PlannedGpu() { set_planned_device(Device::cuda); }
    ~PlannedGpu() { set_planned_device(before); }
  };
  const Tensor images = Tensor::empty({2, 32, 32, 3}, DType::u8, Device::plan);
  CHECK(normalize_images(images, imagenet_pixels, DType::bf16).dim(3) == 3);
  const PlannedGpu gpu_planned;
  const WorkLog log;
  const Tensor x = normalize_images(images, imagenet_pixels, DType::bf16);
  conv2d(x, Tensor::empty({16, 3, 3, 3}, DType::bf16, Device::plan), {1, 1});
  const auto work_of = [&](std::string_view kind) {
    Work sum{.launches = 0};
    for (const WorkLog::Entry& entry : log.entries())
      if (entry.kind->name() == kind) {
        sum.read += entry.work.read;
        sum.written += entry.work.written;
        sum.launches += entry.work.launches;
      }
    return sum;
  };
  CHECK(work_of("image_input").read == 2 * 32 * 32 * 3);
  CHECK(work_of("image_input").written == 2 * 32 * 32 * 8 * 2);
  CHECK(work_of("conv2d.repack").launches == 1);  // the filters
  CHECK(work_of("conv2d.repack").written == 16 * 3 * 3 * 8 * 2);
  CHECK(work_of("conv2d.forward.stem").read == (2 * 32 * 32 + 16 * 3 * 3) * 8 * 2);
}

// What `widen` does, by plain loops on the host.
std::vector<float> plainly_widened(const Tensor& from, std::int64_t columns) {
  const std::vector<float> values = from.to_vector<float>();
  const std::int64_t width = from.shape().back();
  std::vector<float> result;
  for (std::int64_t i = 0; i < from.numel(); ++i)
    if (i % width < columns) result.push_back(values[static_cast<std::size_t>(i)]);
  return result;
}

TEST_CASE("filters on a GPU: gradients of any sizes become f32 in one launch" * test::needs_gpu) {
  const Widen widen = conv2d_kernels(Device::cuda).widen;
  struct Part {
    std::int64_t rows, width, columns,
        offset;  // offset: elements before the tensors, which moves their addresses
  };
  // A block has 8192 elements.
  const Part parts[] = {{1, 1, 1, 0},       {49, 8, 3, 0},      {8192, 1, 1, 0}, {1, 8191, 8191, 0},
                        {3, 8193, 8193, 0}, {2, 8192, 8192, 1}, {5, 24, 20, 3},  {0, 8, 8, 0},
                        {2731, 3, 3, 2},    {4096, 4, 3, 0}};
  for (const DType dtype : {DType::bf16, DType::f16, DType::f32})
    for (const std::size_t count :
         {std::size_t{1}, std::size_t{10}, std::size_t{230}}) {  // 100 at most in a launch
      CAPTURE(name(dtype));
      CAPTURE(count);
      std::vector<Widening> all;
      std::vector<Tensor> rooms;
      for (std::size_t i = 0; i < count; ++i) {
        const Part& p = parts[(count == 1 ? 4 : i) % std::size(parts)];
        if (count > 10 && p.rows * p.width > 4096) continue;
        const Tensor room = sixteenths({p.rows * p.width + p.offset}, static_cast<std::uint32_t>(i));
        const Tensor from = room.to(Device::cuda, dtype).window(p.offset, {p.rows, p.width});
        rooms.push_back(Tensor::full({p.rows * p.columns + p.offset + 1}, 99, DType::f32, Device::cuda));
        all.push_back({from, Output(rooms.back().window(p.offset, {p.rows, p.columns}))});
      }
      widen(all);
      for (std::size_t i = 0; i < all.size(); ++i) {
        CAPTURE(i);
        REQUIRE(all[i].to.to_vector<float>() == plainly_widened(all[i].from, all[i].to.shape().back()));
        const std::vector<float> room = rooms[i].to_vector<float>();
        CHECK(room.back() == 99);
        CHECK(std::count(room.begin(), room.end(), 99.0f) == rooms[i].numel() - all[i].to.numel());
      }
      // Added to what is there: the same numbers again.
      std::vector<Widening> added = all;
      for (Widening& each : added) each.adds = true;
      widen(added);
      for (const Widening& each : added) {
        std::vector<float> twice = plainly_widened(each.from, each.to.shape().back());
        for (float& value : twice) value *= 2;
        REQUIRE(each.to.to_vector<float>() == twice);
      }
      // Recorded, it converts what is there at each replay.
      const Recording recording(new_memory_pool(Device::cuda), [&] { widen(all); });
      for (const float factor : {2.0f, -0.5f}) {
        for (Widening& each : all) each.from.fill(factor);
        recording.replay();
        for (const Widening& each : all)
          REQUIRE(each.to.to_vector<float>() ==
                  std::vector<float>(static_cast<std::size_t>(each.to.numel()), factor));
      }
    }
  const Tensor from = Tensor::zeros({4, 8}, DType::bf16, Device::cuda);
  const auto refused = [&](const Shape& to, DType beside) {
    const std::vector<Widening> all = {
        {from, Output(Tensor::zeros(to, DType::f32, Device::cuda))},
        {Tensor::zeros({2}, beside, Device::cuda), Output(Tensor::zeros({2}, DType::f32, Device::cuda))}};
    try {
      widen(all);
      return false;
    } catch (const Error&) {
      return true;
    }
  };
  CHECK_FALSE(refused({4, 3}, DType::bf16));
  CHECK(refused({4, 9}, DType::bf16));
  CHECK(refused({5, 8}, DType::bf16));
  CHECK(refused({4, 3}, DType::f16));
}

}  // namespace
}  // namespace kindred
