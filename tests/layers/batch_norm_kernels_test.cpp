// Parts of batch normalization's kernels that the gradient registry does not reach: NaNs, results that are not
// wanted, means far from zero, and the bits of the mask. They are compared with the reference, on the cpu and
// on a GPU or an emulated GPU.
#include <doctest/doctest.h>
#include <kindred/engine/random/philox.h>
#include <kindred/layers/batch_norm/fused.h>
#include <kindred/layers/batch_norm/kernels.h>

#include "../gpu.h"

#include <cmath>
#include <limits>

namespace kindred {
namespace {

using Floats = std::vector<float>;

std::vector<Device> tested_devices() {
  return test::with_gpu({Device::cpu});
}

// Channels that fill vectors, several blocks of them, and channels that fill neither a vector nor a mask byte.
const Shape shapes[] = {{300, 8}, {37, 64}, {5, 520}, {1100, 1}, {41, 3}, {13, 37}};

Tensor draw(const Shape& shape, std::uint32_t key, Device device, float low = -1, float high = 1) {
  RandomStream random(51, Purpose::test, key);
  Floats values(static_cast<std::size_t>(shape.numel()));
  for (float& value : values) value = low + (high - low) * static_cast<float>(random.uniform());
  return Tensor::from(values, shape, device);
}

double largest_difference(const Tensor& a, const Tensor& b) {
  const auto x = a.to_vector<double>(), y = b.to_vector<double>();
  REQUIRE(x.size() == y.size());
  double largest = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x[i]) && std::isnan(y[i])) continue;
    const double difference = std::abs(x[i] - y[i]);
    largest = std::isnan(difference) ? HUGE_VAL : std::max(largest, difference);
  }
  return largest;
}

// All arguments of the kernels, with the same values on every device.
struct Setting {
  Device device;
  Shape shape;
  Tensor x, dy, residual, mean, inv_std, scale, bias, d_scale, d_bias;

  Setting(const Shape& shape_, Device device_) : device(device_), shape(shape_) {
    const Shape channels{shape.back()};
    x = draw(shape, 1, device);
    dy = draw(shape, 2, device);
    residual = draw(shape, 3, device);
    mean = draw(channels, 4, device);
    inv_std = draw(channels, 5, device, 0.5f, 2);
    scale = draw(channels, 6, device, 0.5f, 2);
    bias = draw(channels, 7, device);
    d_scale = draw(channels, 8, device);
    d_bias = draw(channels, 9, device);
  }
  const BatchNormKernels& kernels() const { return batch_norm_kernels(device); }
  Tensor like(const Tensor& other) const { return Tensor::full(other.shape(), 99, other.dtype(), device); }
  BatchNormChannels channels() const { return {mean, inv_std, scale, bias}; }
  Tensor new_mask() const { return Tensor::full({mask_bytes(x.numel())}, 0xaa, DType::u8, device); }
};

TEST_CASE("batch norm kernels: the mask says which elements passed, and a NaN passes" * test::also_on_gpu) {
  for (const Device device : tested_devices())
    for (const Shape& shape : shapes)
      for (const bool with_residual : {false, true}) {
        CAPTURE(name(device));
        CAPTURE(shape.to_string());
        Setting s(shape, device);
        s.x.window(shape.numel() / 2, {1}).fill(std::numeric_limits<double>::quiet_NaN());
        const Tensor residual = with_residual ? s.residual : Tensor();
        const Tensor y = s.like(s.x), without_mask = s.like(s.x), linear = s.like(s.x), mask = s.new_mask();
        s.kernels().apply(s.x, s.channels(), residual, true, Output(mask), Output(y));
        s.kernels().apply(s.x, s.channels(), residual, true, {}, Output(without_mask));
        s.kernels().apply(s.x, s.channels(), residual, false, {}, Output(linear));
        const auto values = y.to_vector<float>(), before = linear.to_vector<float>();
        const auto bits = mask.to_vector<std::uint8_t>();
        int wrong = 0, passed = 0;
        for (std::size_t e = 0; e < 8 * bits.size(); ++e) {
          const bool pass = e < values.size() && !(before[e] <= 0);
          wrong += ((bits[e / 8] >> (e % 8)) & 1) != pass;
          if (e < values.size() && pass != std::isnan(values[e])) wrong += values[e] != (pass ? before[e] : 0);
          passed += pass;
        }
        CHECK(wrong == 0);
        CHECK(passed > 0);
        CHECK(std::isnan(values[values.size() / 2]));
        CHECK(largest_difference(y, without_mask) == 0);

        const Setting r(shape, Device::reference);
        const Tensor expected = r.like(r.x);
        r.x.window(shape.numel() / 2, {1}).fill(std::numeric_limits<double>::quiet_NaN());
        r.kernels().apply(r.x, r.channels(), with_residual ? r.residual : Tensor(), true, {}, Output(expected));
        CHECK(largest_difference(y, expected) <= 2e-6);  // values up to 9
      }
}

TEST_CASE("batch norm kernels: backward gives what is asked for" * test::also_on_gpu) {
  for (const Device device : tested_devices())
    for (const Shape& shape : shapes)
      for (const bool masked : {false, true})
        for (const std::int64_t count : {std::int64_t{0}, std::int64_t{7}}) {
          CAPTURE(name(device));
          CAPTURE(shape.to_string());
          const auto run = [&](const Setting& s, const Tensor& dx, const Tensor& d_residual) {
            Tensor mask;
            if (masked) {
              std::vector<std::uint8_t> bits(static_cast<std::size_t>(mask_bytes(s.x.numel())));
              for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint8_t>(i * 37 + 11);
              mask = Tensor::from(bits, {mask_bytes(s.x.numel())}, s.device);
            }
            s.dy.window(0, {1}).fill(std::numeric_limits<double>::quiet_NaN());  // bit 0 of 11 lets it pass
            s.kernels().apply_backward(s.dy, mask, s.x, s.channels(), {s.d_scale, s.d_bias, count}, Output(dx),
                                       Output(d_residual));
          };
          const Setting r(shape, Device::reference), s(shape, device);
          const Tensor dx = r.like(r.x), d_residual = r.like(r.x);
          run(r, dx, d_residual);
          const Tensor both_x = s.like(s.x), both_residual = s.like(s.x), only_x = s.like(s.x),
                       only_residual = s.like(s.x);
          run(s, both_x, both_residual);
          run(s, only_x, Tensor());
          run(s, Tensor(), only_residual);
          CHECK(largest_difference(both_x, dx) <= 2e-6);  // values up to 7
          CHECK(largest_difference(only_x, dx) <= 2e-6);
          CHECK(largest_difference(both_residual, d_residual) == 0);
          CHECK(largest_difference(only_residual, d_residual) == 0);
          CHECK(std::isnan(both_x.to_vector<float>()[0]));
        }
}

TEST_CASE("batch norm kernels: sums over rows, also where the mean is far from zero" * test::also_on_gpu) {
  for (const Device device : tested_devices())
    for (const Shape& shape : shapes) {
      CAPTURE(name(device));
      CAPTURE(shape.to_string());
      const Shape channels{shape.back()};
      const auto statistics = [&](Device on) {
        const Tensor x = draw(shape, 10, on, 1000, 1001);
        std::pair<Tensor, Tensor> result{Tensor::full(channels, 99, DType::f32, on),
                                         Tensor::full(channels, 99, DType::f32, on)};
        batch_norm_kernels(on).statistics(x, Output(result.first), Output(result.second));
        return result;
      };
      const auto found = statistics(device), again = statistics(device),
                 expected = statistics(Device::reference);
      CHECK(largest_difference(found.first, expected.first) <= 1.3e-4);  // two units in the last place of 1000
      CHECK(largest_difference(found.second, expected.second) <= 1e-6);
      CHECK(largest_difference(found.first, again.first) == 0);
      CHECK(largest_difference(found.second, again.second) == 0);

      const auto reduce = [&](Device on) {
        const Setting s(shape, on);
        std::pair<Tensor, Tensor> result{s.like(s.scale), s.like(s.scale)};
        s.kernels().reduce(s.dy, {}, {}, s.x, s.channels(), Output(result.first), Output(result.second), {});
        return result;
      };
      const auto sums = reduce(device), plain = reduce(Device::reference);
      CHECK(largest_difference(sums.first, plain.first) <= 1e-4);  // up to 1100 terms of up to 4
      CHECK(largest_difference(sums.second, plain.second) <= 1e-4);
    }
}

TEST_CASE("batch norm kernels: a NaN reaches the statistics" * test::also_on_gpu) {
  for (const Device device : tested_devices())
    for (const Shape& shape : shapes) {
      const Setting s(shape, device);
      s.x.window(shape.numel() - 1, {1}).fill(std::numeric_limits<double>::quiet_NaN());
      const Tensor mean = s.like(s.scale), variance = s.like(s.scale);
      s.kernels().statistics(s.x, Output(mean), Output(variance));
      CHECK(std::isnan(mean.to_vector<float>().back()));
      CHECK(std::isnan(variance.to_vector<float>().back()));
    }
}

TEST_CASE("batch norm kernels: running statistics move towards the batch's" * test::also_on_gpu) {
  for (const Device device : tested_devices())
    for (const bool running : {false, true}) {
      const auto finish = [&](Device on) {
        const Shape channels{300};
        const Tensor mean = draw(channels, 20, on), variance = draw(channels, 21, on, 0, 3);
        std::vector<Tensor> results{draw(channels, 22, on), draw(channels, 23, on), draw(channels, 24, on)};
        batch_norm_kernels(on).finish_statistics(mean, variance, 1e-5, 0.1, 5, Output(results[0]),
                                                 running ? Output(results[1]) : Output(),
                                                 running ? Output(results[2]) : Output());
        return results;
      };
      const auto found = finish(device), expected = finish(Device::reference);
      // One unit in the last place: a fused multiply-add may round the double differently.
      for (std::size_t i = 0; i < found.size(); ++i) {
        const auto a = found[i].to_vector<double>(), b = expected[i].to_vector<double>();
        for (std::size_t c = 0; c < a.size(); ++c) CHECK(std::abs(a[c] - b[c]) <= 1.2e-7 * std::abs(b[c]));
      }
    }
}

// Sets of rows whose means are far apart compared with their deviations, and far from zero.
TEST_CASE("batch norm kernels: sets of rows are merged in their order" * test::also_on_gpu) {
  for (const Device device : tested_devices())
    for (const std::int64_t count : {1, 2, 5})
      for (const std::int64_t channels : {1, 3, 8, 300}) {
        CAPTURE(name(device));
        CAPTURE(count);
        CAPTURE(channels);
        const std::int64_t rows = 19;
        const Shape shape{count * rows, channels};
        Floats values = draw(shape, 30, Device::reference, 100, 101).to_vector<float>();
        for (std::size_t e = 0; e < values.size(); ++e)
          values[e] += 3 * static_cast<float>(e / static_cast<std::size_t>(rows * channels));
        const Tensor all = Tensor::from(values, shape, Device::reference);
        const auto statistics = [](const Tensor& x, const Tensor& mean, const Tensor& variance) {
          batch_norm_reference.statistics(x, Output(mean), Output(variance));
        };
        const Tensor parts = Tensor::empty({count, 2, channels}, DType::f32, Device::reference);
        for (std::int64_t k = 0; k < count; ++k)
          statistics(all.rows(k * rows, (k + 1) * rows), parts.window(2 * k * channels, {channels}),
                     parts.window((2 * k + 1) * channels, {channels}));
        const auto merged = [&](Device on) {
          std::pair<Tensor, Tensor> result{Tensor::full({channels}, 99, DType::f32, on),
                                           Tensor::full({channels}, 99, DType::f32, on)};
          batch_norm_kernels(on).merge_all(parts.to(on, DType::f32), Output(result.first),
                                           Output(result.second));
          return result;
        };
        const auto found = merged(device), again = merged(device), plain = merged(Device::reference);
        // One unit in the last place of values up to 128 and 32: a fused multiply-add may round otherwise.
        CHECK(largest_difference(found.first, plain.first) <= 7.7e-6);
        CHECK(largest_difference(found.second, plain.second) <= 2e-6);
        CHECK(largest_difference(found.first, again.first) == 0);
        CHECK(largest_difference(found.second, again.second) == 0);

        // The sets' means are rounded by up to half a unit, and lie up to six from the mean of all.
        const Tensor mean = Tensor::empty({channels}, DType::f32, Device::reference),
                     variance = Tensor::empty_like(mean);
        statistics(all, mean, variance);
        CHECK(largest_difference(found.first, mean) <= 1.6e-5);
        CHECK(largest_difference(found.second, variance) <= 5e-5);
        if (count > 1) CHECK(largest_difference(found.second, parts.window(channels, {channels})) > 1);

        parts.window(2 * count * channels - 1, {1}).fill(std::numeric_limits<double>::quiet_NaN());
        CHECK(std::isnan(merged(device).second.to_vector<float>().back()));
      }
}

// One process whose values leave the range of f32 has an infinite variance and no NaN, and so must several.
TEST_CASE("batch norm kernels: infinite variances stay infinite when sets are merged" * test::also_on_gpu) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::int64_t count = 4, channels = 37;
  for (const Device device : tested_devices()) {
    CAPTURE(name(device));
    // Channel 0 is infinite in two sets, channel 1 in one, the others in none.
    const Tensor parts = draw({count, 2, channels}, 31, Device::reference, 0.5f, 2);
    for (const std::int64_t k : {1, 2}) parts.window((2 * k + 1) * channels, {1}).fill(infinity);
    parts.window(7 * channels + 1, {1}).fill(infinity);
    const Tensor mean = Tensor::empty({channels}, DType::f32, device), variance = Tensor::empty_like(mean);
    batch_norm_kernels(device).merge_all(parts.to(device, DType::f32), Output(mean), Output(variance));
    const auto check_first_two = [](const Tensor& merged) {
      const Floats values = merged.to_vector<float>();
      CHECK(std::isinf(values[0]));
      CHECK(std::isinf(values[1]));
      for (std::size_t c = 2; c < values.size(); ++c) CHECK(std::isfinite(values[c]));
    };
    check_first_two(variance);
    for (const float value : mean.to_vector<float>()) CHECK(std::isfinite(value));

    // One set into another: both infinite, one of them, none.
    const auto set = [&](std::int64_t k, std::int64_t which) {
      return parts.window((2 * k + which) * channels, {channels}).to(device, DType::f32);
    };
    const Tensor into_mean = set(2, 0), into_variance = set(2, 1);
    into_variance.window(1, {1}).fill(infinity);
    batch_norm_kernels(device).merge(set(1, 0), set(1, 1), 0.25, Output(into_mean), Output(into_variance));
    check_first_two(into_variance);
  }
}

// Each pass is one call of cuDNN; the separate kernels are our own.
TEST_CASE("fused batch norm on a GPU: the same as the separate kernels" * test::needs_gpu) {
  const BatchNormKernels& separate = *batch_norm_cuda;
  struct Kind {
    bool relu, residual;
  };
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16})
    for (const Kind kind : {Kind{false, false}, Kind{true, false}, Kind{true, true}}) {
      const Shape shape = kind.residual ? Shape{9, 7, 7, 72} : Shape{6, 14, 14, 64};
      CAPTURE(name(dtype));
      CAPTURE(kind.relu);
      CAPTURE(kind.residual);
      const auto image = [&](std::uint32_t key) {
        return draw(shape, key, Device::cuda).to(Device::cuda, dtype);
      };
      const auto channel = [&](std::uint32_t key) { return draw({shape.back()}, key, Device::cuda, 0.5f, 2); };
      const auto poisoned = [](const Tensor& like) {
        return Tensor::full(like.shape(), 99, like.dtype(), Device::cuda);
      };
      const Tensor x = image(1), dy = image(2), residual = kind.residual ? image(3) : Tensor();
      const Tensor scale = channel(4), bias = channel(5);
      const std::int64_t rows = x.numel() / shape.back();
      struct Results {
        Tensor mean, variance, y, dx, d_scale, d_bias, d_residual;
      };
      const auto run = [&](bool fused) {
        Results r{poisoned(scale),
                  poisoned(scale),
                  poisoned(x),
                  poisoned(x),
                  poisoned(scale),
                  poisoned(scale),
                  kind.residual ? poisoned(x) : Tensor()};
        const Tensor inv_std = poisoned(scale);
        const Tensor mask =
            kind.relu ? Tensor::full({mask_bytes(x.numel())}, 0xaa, DType::u8, Device::cuda) : Tensor();
        const BatchNormChannels of_channels{r.mean, inv_std, scale, bias};
        const auto finish = [&] {
          separate.finish_statistics(r.mean, r.variance, 1e-5, 0, rows, Output(inv_std), {}, {});
        };
        if (fused) {
          const FusedBatchNorm& kernels = *fused_batch_norm_cuda;
          kernels.forward(x, scale, bias, residual, Output(mask), Output(r.mean), Output(r.variance),
                          Output(r.y));
          finish();
          kernels.backward(dy, mask, x, of_channels, Output(r.d_scale), Output(r.d_bias), Output(r.dx),
                           Output(r.d_residual));
        } else {
          separate.statistics(x, Output(r.mean), Output(r.variance));
          finish();
          separate.apply(x, of_channels, residual, kind.relu, Output(mask), Output(r.y));
          separate.reduce(dy, {}, mask, x, of_channels, Output(r.d_scale), Output(r.d_bias), {});
          separate.apply_backward(dy, mask, x, of_channels, {r.d_scale, r.d_bias, rows}, Output(r.dx),
                                  Output(r.d_residual));
        }
        return r;
      };
      const Results found = run(true), expected = run(false);
      // Images: rounding of values up to 9. A value at the edge of the ReLU may fall on either side, which
      // changes its gradient (by up to 1). This many elements may do so.
      const double rounding = dtype == DType::f32 ? 1e-5 : dtype == DType::f16 ? 8e-3 : 0.07;
      const auto differing = [&](const Tensor& a, const Tensor& b) {
        const auto p = a.to_vector<double>(), q = b.to_vector<double>();
        int count = 0;
        for (std::size_t i = 0; i < p.size(); ++i) count += !(std::abs(p[i] - q[i]) <= rounding);
        return count;
      };
      CHECK(largest_difference(found.mean, expected.mean) <= 1e-6);
      CHECK(largest_difference(found.variance, expected.variance) <= 1e-6);
      CHECK(largest_difference(found.y, expected.y) <= rounding);
      CHECK(differing(found.dx, expected.dx) <= 3);
      CHECK(largest_difference(found.d_bias, expected.d_bias) <= 1.01);  // one element on the other side
      CHECK(largest_difference(found.d_scale, expected.d_scale) <= 1.01);
      if (kind.residual) CHECK(differing(found.d_residual, expected.d_residual) <= 3);
    }
}

TEST_CASE("fused batch norm on a GPU: a NaN reaches the statistics and the gradients" * test::needs_gpu) {
  const FusedBatchNorm& kernels = *fused_batch_norm_cuda;
  const Shape shape{6, 14, 14, 64}, channels{64};
  const Tensor x = draw(shape, 1, Device::cuda), dy = draw(shape, 2, Device::cuda);
  x.window(64 * 100 + 5, {1}).fill(std::numeric_limits<double>::quiet_NaN());  // of channel 5
  const Tensor scale = draw(channels, 4, Device::cuda, 0.5f, 2), bias = draw(channels, 5, Device::cuda);
  const auto room = [](const Shape& s) { return Tensor::full(s, 99, DType::f32, Device::cuda); };
  const Tensor mean = room(channels), variance = room(channels), inv_std = room(channels), y = room(shape),
               dx = room(shape), d_scale = room(channels), d_bias = room(channels);
  const Tensor mask = Tensor::full({mask_bytes(x.numel())}, 0, DType::u8, Device::cuda);
  kernels.forward(x, scale, bias, Tensor(), Output(mask), Output(mean), Output(variance), Output(y));
  batch_norm_cuda->finish_statistics(mean, variance, 1e-5, 0, x.numel() / 64, Output(inv_std), {}, {});
  kernels.backward(dy, mask, x, {mean, inv_std, scale}, Output(d_scale), Output(d_bias), Output(dx), {});
  CHECK(std::isnan(mean.to_vector<float>()[5]));
  CHECK(std::isnan(variance.to_vector<float>()[5]));
  CHECK(std::isnan(d_scale.to_vector<float>()[5]));
  CHECK(std::isnan(dx.to_vector<float>()[5]));
  CHECK(std::isfinite(d_scale.to_vector<float>()[6]));
}

}  // namespace
}  // namespace kindred
