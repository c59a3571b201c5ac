// What only the GPU's kernels of batch norm have: several tensors read at once, sums that the last block finishes, passes
// that walk backwards. Each is compared with the composition that it replaces, to the bit, and with plain loops.
#include "../../emulated_gpu.h"

#include <kindred/engine/kernels/accumulate.h>
#include <kindred/engine/memory.h>
#include <kindred/engine/random/philox.h>
#include <kindred/engine/recording.h>
#include <kindred/layers/batch_norm/kernels.h>

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace kindred {
namespace {

// Few rows, blocks whose threads do not all have channels, channels that fill no vector; then so many segments that their
// sums are added up in two rounds.
const Shape norm_shapes[] = {{1, 8}, {5, 520}, {41, 3}, {300, 8}, {1400, 37}, {2820, 72}};

std::vector<float> norm_values(std::int64_t count, std::uint32_t key, float low, float high) {
  RandomStream random(67, Purpose::test, key);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = low + (high - low) * static_cast<float>(random.uniform());
  return values;
}

Tensor norm_tensor(const Shape& shape, std::uint32_t key, DType dtype, float low = -1, float high = 1) {
  return Tensor::from(norm_values(shape.numel(), key, low, high), shape, Device::reference)
      .to(Device::cuda, dtype);
}

// A result that nobody has written yet.
Tensor norm_room(const Tensor& like) {
  return Tensor::full(like.shape(), 99, like.dtype(), Device::cuda);
}

// Bit by bit, but the two zeros are equal, and so are two NaNs.
int norm_differences(const Tensor& a, const Tensor& b) {
  const auto x = a.to_vector<double>(), y = b.to_vector<double>();
  REQUIRE(x.size() == y.size());
  int count = 0;
  for (std::size_t i = 0; i < x.size(); ++i) count += x[i] != y[i] && !(std::isnan(x[i]) && std::isnan(y[i]));
  return count;
}

struct NormSetting {
  Tensor x, dy, addend, mask, mean, inv_std, scale, bias;

  NormSetting(const Shape& shape, DType dtype, bool masked)
      : x(norm_tensor(shape, 1, dtype)),
        dy(norm_tensor(shape, 2, dtype)),
        addend(norm_tensor(shape, 3, dtype)) {
    const Shape channels{shape.back()};
    mean = norm_tensor(channels, 4, DType::f32);
    inv_std = norm_tensor(channels, 5, DType::f32, 0.5f, 2);
    scale = norm_tensor(channels, 6, DType::f32, 0.5f, 2);
    bias = norm_tensor(channels, 7, DType::f32);
    if (!masked) return;
    const std::vector<float> draws = norm_values(mask_bytes(shape.numel()), 8, 0, 256);
    const std::vector<std::uint8_t> bits(draws.begin(), draws.end());
    mask = Tensor::from(bits, {mask_bytes(shape.numel())}, Device::cuda);
  }
  BatchNormChannels channels() const { return {mean, inv_std, scale, bias}; }
};

struct NormSums {
  Tensor d_scale, d_bias;

  explicit NormSums(const NormSetting& s) : d_scale(norm_room(s.scale)), d_bias(norm_room(s.scale)) {}
};

TEST_CASE("batch norm on a GPU: two gradients are added, masked and summed as one after the other" *
          test::needs_gpu) {
  const BatchNormKernels& kernels = *batch_norm_cuda;
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16})
    for (const Shape& shape : norm_shapes)
      for (const bool masked : {false, true}) {
        CAPTURE(name(dtype));
        CAPTURE(shape.to_string());
        CAPTURE(masked);
        const NormSetting s(shape, dtype, masked);
        const Tensor incoming = norm_room(s.x), dz = norm_room(s.x), only_kept = norm_room(s.x);
        const NormSums sums(s), at_once(s), kept(s);
        add(s.dy, s.addend, Output(incoming));
        kernels.reduce(incoming, {}, s.mask, s.x, s.channels(), Output(sums.d_scale), Output(sums.d_bias), {});
        kernels.reduce(s.dy, s.addend, s.mask, s.x, s.channels(), Output(at_once.d_scale),
                       Output(at_once.d_bias), Output(dz));
        kernels.reduce(incoming, {}, s.mask, s.x, s.channels(), Output(kept.d_scale), Output(kept.d_bias),
                       Output(only_kept));
        CHECK(norm_differences(at_once.d_scale, sums.d_scale) == 0);
        CHECK(norm_differences(at_once.d_bias, sums.d_bias) == 0);
        CHECK(norm_differences(kept.d_scale, sums.d_scale) == 0);
        CHECK(norm_differences(kept.d_bias, sums.d_bias) == 0);
        CHECK(norm_differences(only_kept, dz) == 0);

        // Plain loops.
        auto expected = incoming.to_vector<float>();
        const auto bits = masked ? s.mask.to_vector<std::uint8_t>() : std::vector<std::uint8_t>();
        for (std::size_t e = 0; masked && e < expected.size(); ++e)
          if (((bits[e / 8] >> (e % 8)) & 1) == 0) expected[e] = 0;
        CHECK(dz.to_vector<float>() == expected);
        const auto x = s.x.to_vector<double>(), mean = s.mean.to_vector<double>(),
                   inv_std = s.inv_std.to_vector<double>();
        const std::size_t c = mean.size();
        std::vector<double> d_scale(c), d_bias(c);
        for (std::size_t e = 0; e < expected.size(); ++e) {
          d_bias[e % c] += expected[e];
          d_scale[e % c] += expected[e] * (x[e] - mean[e % c]) * inv_std[e % c];
        }
        const auto found_scale = sums.d_scale.to_vector<double>(), found_bias = sums.d_bias.to_vector<double>();
        for (std::size_t i = 0; i < c; ++i) {  // up to 2820 terms of up to 2 and 8
          CHECK(std::abs(found_bias[i] - d_bias[i]) <= 2e-4);
          CHECK(std::abs(found_scale[i] - d_scale[i]) <= 4e-4);
        }

        // The pass that follows.
        const BatchNormSums all{sums.d_scale, sums.d_bias, s.x.numel() / s.x.shape().back()};
        const Tensor dx = norm_room(s.x), dx_of_dz = norm_room(s.x), d_residual = norm_room(s.x);
        kernels.apply_backward(incoming, s.mask, s.x, s.channels(), all, Output(dx), Output(d_residual));
        kernels.apply_backward(dz, {}, s.x, s.channels(), all, Output(dx_of_dz), {});
        CHECK(norm_differences(dx_of_dz, dx) == 0);
        CHECK(norm_differences(d_residual, dz) == 0);
      }
}

TEST_CASE("batch norm on a GPU: statistics that are finished at once are those that are finished afterwards" *
          test::needs_gpu) {
  const BatchNormKernels& kernels = *batch_norm_cuda;
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16})
    for (const Shape& shape : norm_shapes)
      for (const bool running : {false, true}) {
        CAPTURE(name(dtype));
        CAPTURE(shape.to_string());
        CAPTURE(running);
        const Shape channels{shape.back()};
        const Tensor x = norm_tensor(shape, 1, dtype, 3, 5);
        const std::int64_t rows = x.numel() / x.shape().back(), count = rows + 1;
        const auto statistics = [&](bool at_once) {
          std::vector<Tensor> found(3, Tensor());
          for (Tensor& tensor : found) tensor = Tensor::full(channels, 99, DType::f32, Device::cuda);
          found.push_back(norm_tensor(channels, 9, DType::f32));
          found.push_back(norm_tensor(channels, 10, DType::f32, 1, 2));
          const Output running_mean = running ? Output(found[3]) : Output(),
                       running_variance = running ? Output(found[4]) : Output();
          if (at_once) {
            kernels.statistics_and_finish(x, 1e-5, 0.1, count, Output(found[0]), Output(found[1]),
                                          Output(found[2]), running_mean, running_variance);
          } else {
            kernels.statistics(x, Output(found[0]), Output(found[1]));
            kernels.finish_statistics(found[0], found[1], 1e-5, 0.1, count, Output(found[2]), running_mean,
                                      running_variance);
          }
          return found;
        };
        const std::vector<Tensor> found = statistics(true), expected = statistics(false);
        for (std::size_t i = 0; i < found.size(); ++i) CHECK(norm_differences(found[i], expected[i]) == 0);

        const auto values = x.to_vector<double>();
        const auto c = static_cast<std::size_t>(channels[0]);
        const auto mean = found[0].to_vector<double>(), variance = found[1].to_vector<double>(),
                   inv_std = found[2].to_vector<double>(), running_mean = found[3].to_vector<double>(),
                   before = norm_tensor(channels, 9, DType::f32).to_vector<double>();
        for (std::size_t i = 0; i < c; ++i) {
          double sum = 0, squares = 0;
          for (std::size_t e = i; e < values.size(); e += c) sum += values[e];
          const double m = sum / static_cast<double>(rows);
          for (std::size_t e = i; e < values.size(); e += c) squares += (values[e] - m) * (values[e] - m);
          const double v = squares / static_cast<double>(rows);
          CHECK(std::abs(mean[i] - m) <= 1e-6);  // two units in the last place of 4
          CHECK(std::abs(variance[i] - v) <= 2e-6);
          CHECK(std::abs(inv_std[i] - 1 / std::sqrt(variance[i] + 1e-5)) <= 1e-6 * inv_std[i]);
          const double moved = running ? 0.9 * before[i] + 0.1 * mean[i] : before[i];
          CHECK(std::abs(running_mean[i] - moved) <= 1e-7);
        }
      }
}

// So many rows that a segment is walked in two parts.
TEST_CASE("batch norm on a GPU: long segments are walked to their ends" * test::needs_gpu) {
  const BatchNormKernels &kernels = *batch_norm_cuda, &plain = batch_norm_reference;
  for (const Shape& shape : {Shape{26000, 128}, Shape{141000, 3}}) {
    CAPTURE(shape.to_string());
    const NormSetting s(shape, DType::f32, true);
    const auto on_host = [](const Tensor& tensor) { return tensor.to(Device::reference, tensor.dtype()); };
    const auto room = [](const Tensor& like) {
      return Tensor::full(like.shape(), 99, like.dtype(), Device::reference);
    };
    const BatchNormChannels channels{on_host(s.mean), on_host(s.inv_std), on_host(s.scale), on_host(s.bias)};
    const Tensor x = on_host(s.x), dy = on_host(s.dy), mask = on_host(s.mask);
    const auto furthest = [](const Tensor& a, const Tensor& b) {
      const auto p = a.to_vector<float>(), q = b.to_vector<float>();
      float most = 0;
      for (std::size_t i = 0; i < p.size(); ++i) most = std::max(most, std::abs(p[i] - q[i]));
      return most;
    };

    const Tensor y = norm_room(s.x), bits = norm_room(s.mask), expected_y = room(x), expected_bits = room(mask);
    kernels.apply(s.x, s.channels(), s.addend, true, Output(bits), Output(y));
    plain.apply(x, channels, on_host(s.addend), true, Output(expected_bits), Output(expected_y));
    CHECK(furthest(y, expected_y) <= 2e-6f);  // values up to 9
    int other_bits = 0;
    const auto p = bits.to_vector<std::uint8_t>(), q = expected_bits.to_vector<std::uint8_t>();
    for (std::size_t i = 0; i < p.size(); ++i) other_bits += p[i] != q[i];
    CHECK(other_bits <= 2);  // values that are 0 but for rounding

    const std::int64_t rows = shape[0];
    const Tensor dx = norm_room(s.x), d_residual = norm_room(s.x), expected_dx = room(x),
                 expected_residual = room(x);
    const Tensor d_scale = norm_tensor({shape.back()}, 11, DType::f32, -1000, 1000),
                 d_bias = norm_tensor({shape.back()}, 12, DType::f32, -1000, 1000);
    kernels.apply_backward(s.dy, s.mask, s.x, s.channels(), {d_scale, d_bias, rows}, Output(dx),
                           Output(d_residual));
    plain.apply_backward(dy, mask, x, channels, {on_host(d_scale), on_host(d_bias), rows}, Output(expected_dx),
                         Output(expected_residual));
    CHECK(furthest(dx, expected_dx) <= 2e-6f);
    CHECK(furthest(d_residual, expected_residual) == 0);
  }
}

// The last block to come finishes the sums, whichever it is, and leaves the counters as it found them.
TEST_CASE("batch norm on a GPU: a recording gives the same bits whenever it is replayed" *
          test::needs_emulation) {
  const BatchNormKernels& kernels = *batch_norm_cuda;
  for (const Shape& shape : {Shape{1400, 37}, Shape{900, 256}}) {
    CAPTURE(shape.to_string());
    const NormSetting s(shape, DType::bf16, true);
    const std::int64_t rows = s.x.numel() / s.x.shape().back();
    std::vector<Tensor> results{s.scale, s.scale, s.scale, s.scale, s.scale, s.x};
    for (Tensor& result : results) result = norm_room(result);
    const auto body = [&] {
      kernels.statistics_and_finish(s.x, 1e-5, 0, rows, Output(results[0]), Output(results[1]),
                                    Output(results[2]), {}, {});
      kernels.reduce(s.dy, s.addend, s.mask, s.x, s.channels(), Output(results[3]), Output(results[4]),
                     Output(results[5]));
    };
    std::vector<std::vector<double>> first;
    const auto check_results = [&] {
      std::vector<std::vector<double>> found;
      for (const Tensor& result : results) found.push_back(result.to_vector<double>());
      if (first.empty()) first = found;
      CHECK(found == first);
      for (Tensor& result : results) result.fill(99);
    };
    body();
    check_results();
    CHECK(first[3] != std::vector<double>(first[3].size(), 99));
    for (const std::uint64_t seed : {2, 3, 4}) {
      const test::DrawnOrder order(seed);
      const Recording recording(new_memory_pool(Device::cuda), body);
      for (int replay = 0; replay < 2; ++replay) {
        recording.replay();
        check_results();
      }
      body();
      check_results();
    }
  }
}

}  // namespace
}  // namespace kindred
