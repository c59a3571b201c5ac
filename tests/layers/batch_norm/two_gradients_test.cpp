// Batch norm whose result is used twice: its backward pass adds the two gradients where it reads them. Against the
// composition: an addition, then kernels that get one gradient and a mask. To the bit, also for channels that fill no
// vector. (On a GPU: the tests beside this one with "cuda" in their names.)
#include "../../gradcheck/gradcheck.h"

#include <kindred/engine/kernels/accumulate.h>
#include <kindred/engine/memory.h>
#include <kindred/engine/random/philox.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/batch_norm/batch_norm.h>
#include <kindred/layers/batch_norm/kernels.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace kindred {
namespace {

using gradcheck::relative_difference;
using Values = std::vector<double>;

struct Place {
  Device device;
  DType dtype;
  DType of_channels() const { return dtype == DType::f64 ? DType::f64 : DType::f32; }
};
const Place places[] = {{Device::reference, DType::f64},
                        {Device::reference, DType::f32},
                        {Device::cpu, DType::f32},
                        {Device::cpu, DType::bf16}};
// Channels that fill vectors, more rows than a thread takes, and channels that fill neither a vector nor a mask byte.
const Shape shapes[] = {{3, 5, 2, 16},  {4, 45, 37, 8}, {2, 3, 2, 136}, {7, 3, 3, 5},
                        {9, 43, 31, 3}, {2, 1, 1, 37},  {13, 1, 5, 1}};

Tensor draw(const Shape& shape, std::uint32_t key, const Place& place, double low = -1, double high = 1) {
  RandomStream random(91, Purpose::test, key);
  Values values(static_cast<std::size_t>(shape.numel()));
  for (double& value : values) value = low + (high - low) * random.uniform();
  return Tensor::from(values, shape, Device::reference).to(place.device, place.dtype);
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.defined() == b.defined() && (!a.defined() || (a.dtype() == b.dtype() && a.shape() == b.shape() &&
                                                         std::memcmp(a.raw(), b.raw(), a.bytes()) == 0));
}

Tensor sum_of(const Tensor& a, const Tensor& b) {
  Tensor sum = Tensor::empty_like(a);
  add(a, b, Output(sum));
  return sum;
}

// A result whose contents a kernel must overwrite.
Tensor poisoned(const Tensor& like) {
  return Tensor::full(like.shape(), std::numeric_limits<double>::quiet_NaN(), like.dtype(), like.device());
}

double largest(const Tensor& tensor) {
  double most = 0;
  for (const double value : tensor.to_vector<double>()) most = std::max(most, std::abs(value));
  return most;
}

// Everything that a batch norm is given, and two gradients of its result.
struct Setting {
  Place place;
  Tensor x, residual, scale, bias, running_mean, running_variance, dy, more;

  Setting(const Shape& shape, const Place& at) : place(at) {
    const Shape channels{shape.back()};
    const Place of_channels{at.device, at.of_channels()};
    x = draw(shape, 1, at, -1, 3);
    residual = draw(shape, 2, at);
    scale = draw(channels, 3, of_channels, 0.5, 1.5);
    bias = draw(channels, 4, of_channels);
    running_mean = draw(channels, 5, of_channels);
    running_variance = draw(channels, 6, of_channels, 0.5, 2);
    dy = draw(shape, 7, at);
    more = draw(shape, 8, at, -0.1, 0.1);  // smaller, so that the sum is rounded
  }
  std::int64_t rows() const { return x.numel() / scale.numel(); }
};

TEST_CASE("batch norm with two gradients: reduce adds, masks, and sums up what it writes") {
  for (const Place& place : places)
    for (const Shape& shape : shapes)
      for (const bool two : {false, true})
        for (const bool masked : {false, true}) {
          CAPTURE(name(place.device));
          CAPTURE(name(place.dtype));
          CAPTURE(shape.to_string());
          CAPTURE(two);
          CAPTURE(masked);
          const Setting s(shape, place);
          const BatchNormKernels& kernels = batch_norm_kernels(place.device);
          const BatchNormChannels channels{s.running_mean, s.running_variance, s.scale};
          Tensor mask;
          if (masked) {
            std::vector<std::uint8_t> bits(static_cast<std::size_t>(mask_bytes(s.x.numel())));
            for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint8_t>(i * 37 + 11);
            mask = Tensor::from(bits, {mask_bytes(s.x.numel())}, place.device);
          }
          const Tensor sum = two ? sum_of(s.dy, s.more) : s.dy;
          struct Results {
            Tensor d_scale, d_bias, dz, dx;
          };
          const auto room = [&] {
            return Results{poisoned(s.scale), poisoned(s.scale), poisoned(s.x), poisoned(s.x)};
          };
          const Results expected = room(), found = room();
          kernels.reduce(sum, {}, mask, s.x, channels, Output(expected.d_scale), Output(expected.d_bias), {});
          kernels.apply_backward(sum, mask, s.x, channels, {expected.d_scale, expected.d_bias, s.rows()},
                                 Output(expected.dx), Output(expected.dz));
          kernels.reduce(s.dy, two ? s.more : Tensor(), mask, s.x, channels, Output(found.d_scale),
                         Output(found.d_bias), Output(found.dz));
          kernels.apply_backward(found.dz, {}, s.x, channels, {found.d_scale, found.d_bias, s.rows()},
                                 Output(found.dx), {});
          CHECK(same_bits(found.dz, expected.dz));
          CHECK(same_bits(found.d_scale, expected.d_scale));
          CHECK(same_bits(found.d_bias, expected.d_bias));
          CHECK(same_bits(found.dx, expected.dx));
          CHECK(largest(found.dx) > 0.1);

          // What the kernels of a GPU are compared with must be right itself: in f64, from the definition.
          if (place.dtype != DType::f64) continue;
          const Values g = s.dy.to_vector<double>(), h = s.more.to_vector<double>(),
                       x = s.x.to_vector<double>(), dz = found.dz.to_vector<double>(),
                       mean = s.running_mean.to_vector<double>(), inv = s.running_variance.to_vector<double>();
          Values d_bias(mean.size()), d_scale(mean.size());
          bool is_masked_sum = true;
          for (std::size_t e = 0; e < x.size(); ++e) {
            const std::size_t c = e % mean.size();
            const bool passes = !masked || (((e / 8 * 37 + 11) >> (e % 8)) & 1);
            const double z = passes ? g[e] + (two ? h[e] : 0) : 0;
            is_masked_sum &= dz[e] == z;
            d_bias[c] += z;
            d_scale[c] += z * (x[e] - mean[c]) * inv[c];
          }
          CHECK(is_masked_sum);
          CHECK(relative_difference(found.d_bias.to_vector<double>(), d_bias) < 1e-12);
          CHECK(relative_difference(found.d_scale.to_vector<double>(), d_scale) < 1e-12);
        }
}

TEST_CASE("batch norm: statistics and what follows from them in one call") {
  for (const Place& place : places)
    for (const Shape& shape : shapes)
      for (const bool moves : {false, true}) {
        CAPTURE(name(place.device));
        CAPTURE(name(place.dtype));
        CAPTURE(shape.to_string());
        const BatchNormKernels& kernels = batch_norm_kernels(place.device);
        const auto results = [&](bool at_once) {
          const Setting s(shape, place);
          const Tensor mean = poisoned(s.scale), variance = poisoned(s.scale), inv_std = poisoned(s.scale);
          const Output running_mean = moves ? Output(s.running_mean) : Output(),
                       running_variance = moves ? Output(s.running_variance) : Output();
          if (at_once) {
            kernels.statistics_and_finish(s.x, 1e-5, 0.1, s.rows(), Output(mean), Output(variance),
                                          Output(inv_std), running_mean, running_variance);
          } else {
            kernels.statistics(s.x, Output(mean), Output(variance));
            kernels.finish_statistics(mean, variance, 1e-5, 0.1, s.rows(), Output(inv_std), running_mean,
                                      running_variance);
          }
          return std::vector<Tensor>{mean, variance, inv_std, s.running_mean, s.running_variance};
        };
        const auto found = results(true), expected = results(false);
        for (std::size_t i = 0; i < found.size(); ++i) CHECK(same_bits(found[i], expected[i]));
        CHECK(largest(found[2]) > 0);
      }
}

// Passes these gradients on to y, one for each use, whatever it gets itself. (An existing operation, because the registry
// asks for a case of each.)
Tensor use(const Tensor& y, const std::vector<Tensor>& gradients) {
  Tensor out = Tensor::empty({1}, y.dtype(), y.device());
  out.fill(0);
  Tape* const tape = Tape::recording({&y});
  REQUIRE(tape != nullptr);
  REQUIRE(gradients.size() <= 3);
  const auto backward = [gradients](BackwardStep& step) {
    for (std::size_t k = 0; k < gradients.size(); ++k) step.pass_gradient(static_cast<int>(k), gradients[k]);
  };
  const Operation& any = *Operation::all().front();
  if (gradients.size() == 1) tape->record(any, {&y}, {&out}, {}, backward);
  if (gradients.size() == 2) tape->record(any, {&y, &y}, {&out}, {}, backward);
  if (gradients.size() == 3) tape->record(any, {&y, &y, &y}, {&out}, {}, backward);
  return out;
}

struct Kind {
  bool relu, residual;
  Mode mode;
  bool wants_x = true, wants_residual = true;
};
const Kind kinds[] = {{false, false, Mode::train},
                      {true, false, Mode::train},
                      {false, true, Mode::train},
                      {true, true, Mode::train},
                      {true, true, Mode::evaluate},
                      {true, true, Mode::train, true, false},
                      {true, true, Mode::train, false, true}};

struct Gradients {
  Tensor dx, d_residual, d_scale, d_bias;
};

// As the tape has it: `uses` gradients of the result, of which the third is the first again.
Gradients on_tape(const Setting& s, const Kind& kind, std::size_t uses) {
  const auto wanted = [](Tensor tensor, bool is_wanted) { return tensor.set_requires_grad(is_wanted); };
  const Tensor x = wanted(s.x, kind.wants_x), residual = wanted(s.residual, kind.wants_residual),
               scale = wanted(s.scale, true), bias = wanted(s.bias, true);
  Tape tape;
  const Tensor y = batch_norm({.x = x,
                               .scale = scale,
                               .bias = bias,
                               .residual = kind.residual ? residual : Tensor(),
                               .relu = kind.relu,
                               .mode = kind.mode,
                               .running_mean = s.running_mean,
                               .running_variance = s.running_variance});
  std::vector<Tensor> gradients{s.dy, s.more, s.dy};
  gradients.resize(uses);
  tape.backward(use(y, gradients));
  return {tape.gradient(x), tape.gradient(residual), tape.gradient(scale), tape.gradient(bias)};
}

// By hand: additions of their own, and both passes with the mask.
Gradients composed(const Setting& s, const Kind& kind, std::size_t uses) {
  const BatchNormKernels& kernels = batch_norm_kernels(s.place.device);
  const Tensor batch_mean = poisoned(s.scale), variance = poisoned(s.scale), inv_std = poisoned(s.scale);
  const bool trains = kind.mode.is_training;
  if (trains) kernels.statistics(s.x, Output(batch_mean), Output(variance));
  const Tensor mean = trains ? batch_mean : s.running_mean;
  kernels.finish_statistics(mean, trains ? variance : s.running_variance, batch_norm_epsilon, 0, s.rows(),
                            Output(inv_std), {}, {});
  const BatchNormChannels channels{mean, inv_std, s.scale, s.bias};
  const Tensor y = poisoned(s.x);
  const Tensor mask =
      kind.relu ? Tensor::full({mask_bytes(s.x.numel())}, 0xaa, DType::u8, s.place.device) : Tensor();
  kernels.apply(s.x, channels, kind.residual ? s.residual : Tensor(), kind.relu, Output(mask), Output(y));
  Tensor dy = s.dy;
  if (uses > 1) dy = sum_of(dy, s.more);
  if (uses > 2) dy = sum_of(dy, s.dy);
  const Gradients g{poisoned(s.x), poisoned(s.x), poisoned(s.scale), poisoned(s.scale)};
  kernels.reduce(dy, {}, mask, s.x, channels, Output(g.d_scale), Output(g.d_bias), {});
  kernels.apply_backward(dy, mask, s.x, channels, {g.d_scale, g.d_bias, trains ? s.rows() : 0}, Output(g.dx),
                         Output(g.d_residual));
  return g;
}

TEST_CASE("batch norm with two gradients: the gradients of the composition, to the bit") {
  for (const Place& place : places)
    for (const Shape& shape : shapes)
      for (const Kind& kind : kinds)
        for (const std::size_t uses : {1, 2, 3}) {
          CAPTURE(name(place.device));
          CAPTURE(name(place.dtype));
          CAPTURE(shape.to_string());
          CAPTURE(kind.relu);
          CAPTURE(kind.residual);
          CAPTURE(uses);
          memory_pool(place.device).set_poison(true);
          const Gradients found = on_tape(Setting(shape, place), kind, uses);
          memory_pool(place.device).set_poison(false);
          const Gradients expected = composed(Setting(shape, place), kind, uses);
          CHECK(same_bits(found.d_scale, expected.d_scale));
          CHECK(same_bits(found.d_bias, expected.d_bias));
          CHECK(found.dx.defined() == kind.wants_x);
          if (kind.wants_x) CHECK(same_bits(found.dx, expected.dx));
          CHECK(found.d_residual.defined() == (kind.residual && kind.wants_residual));
          if (found.d_residual.defined()) CHECK(same_bits(found.d_residual, expected.d_residual));
          CHECK(largest(found.d_bias) > 0.01);
        }
}

// x as its own residual, and a leaf as residual that has a buffer: dz is never a buffer, and is added once.
TEST_CASE("batch norm with two gradients: the residual's gradient goes where it belongs") {
  const Place place{Device::cpu, DType::f32};
  for (const bool accumulate : {false, true}) {
    Setting s({3, 5, 2, 16}, place);
    const Kind kind{true, true, Mode::train};
    const Gradients expected = composed(s, kind, 2);
    Tensor buffer = Tensor::full(s.x.shape(), 0.5, DType::f32, Device::cpu);
    Tape tape;
    s.x.set_requires_grad();
    s.residual.set_requires_grad();
    tape.set_gradient_buffer(s.residual, buffer, accumulate);
    const Tensor y =
        batch_norm({.x = s.x, .scale = s.scale, .bias = s.bias, .residual = s.residual, .relu = true});
    tape.backward(use(y, {s.dy, s.more}));
    const Tensor before = Tensor::full(s.x.shape(), 0.5, DType::f32, Device::cpu);
    CHECK(same_bits(buffer, accumulate ? sum_of(before, expected.d_residual) : expected.d_residual));
    CHECK(same_bits(tape.gradient(s.x), expected.dx));
  }
  Setting s({3, 5, 2, 16}, place);
  s.residual = s.x;
  const Gradients expected = composed(s, {true, true, Mode::train}, 2);
  Tape tape;
  s.x.set_requires_grad();
  const Tensor y = batch_norm({.x = s.x, .scale = s.scale, .bias = s.bias, .residual = s.x, .relu = true});
  tape.backward(use(y, {s.dy, s.more}));
  CHECK(same_bits(tape.gradient(s.x), sum_of(expected.dx, expected.d_residual)));
}

TEST_CASE("batch norm with two gradients: no more memory than an addition needs") {
  const Shape shape{1, 64, 64, 64};
  MemoryPool& pool = memory_pool(Device::plan);
  const auto image = [&] { return Tensor::empty(shape, DType::f32, Device::plan); };
  const auto channel = [] { return Tensor::full({64}, 1, DType::f32, Device::plan); };
  for (const std::size_t uses : {1, 2}) {
    CAPTURE(uses);
    const Tensor x = image().set_requires_grad(), residual = image().set_requires_grad(), scale = channel(),
                 bias = channel();
    Tape tape;
    Tensor y = batch_norm({.x = x, .scale = scale, .bias = bias, .residual = residual, .relu = true});
    std::vector<Tensor> gradients;
    for (std::size_t k = 0; k < uses; ++k) gradients.push_back(image());
    const Tensor end = use(y, gradients);
    gradients.clear();
    y = Tensor();
    const std::size_t before = pool.statistics().in_use - uses * x.bytes();
    const auto images = [&](std::size_t bytes) {  // the mask and channels are small
      return std::lround((static_cast<double>(bytes) - static_cast<double>(before)) /
                         static_cast<double>(x.bytes()));
    };
    pool.reset_peak();
    tape.backward(end);
    CHECK(images(pool.statistics().peak_in_use) == (uses == 1 ? 2 : 3));
    CHECK(images(pool.statistics().in_use) == 2);  // dx and d_residual
  }
}

}  // namespace
}  // namespace kindred
