// Batch norm over the rows of several processes, which are threads here, against batch norm of one process that has all
// rows; and which messages it sends.
#include "../engine/communicator/threads.h"
#include "../gpu.h"
#include "../gradcheck/gradcheck.h"

#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/kernels/work.h>
#include <kindred/layers/batch_norm/batch_norm.h>
#include <kindred/layers/batch_norm/shared_statistics.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kindred {
namespace {

using gradcheck::relative_difference;
using Values = std::vector<double>;

struct Place {
  Device device;
  DType dtype;
  double tolerance;  // norm-wise
};
// float64: sums in another order. float32: the same, with statistics that are rounded once more.
const Place places[] = {{Device::reference, DType::f64, 1e-10}, {Device::cpu, DType::f32, 1e-5}};

struct Kind {
  Shape x;  // of all processes together
  bool relu, residual;
};
// The last ones have one row on each of four processes, which alone would have no variance, and no pixels.
const Kind kinds[] = {{{8, 3, 5, 16}, true, true},    {{8, 3, 3, 5}, true, false},
                      {{12, 2, 4, 24}, false, false}, {{8, 3, 2, 37}, false, true},
                      {{4, 1, 1, 7}, false, false},   {{8, 24}, true, true}};

// Uniform in [low, high). Image i is moved by i * apart, so that the processes' rows have unlike statistics.
Tensor draw(const Shape& shape, std::uint32_t key, double low, double high, double apart = 0) {
  RandomStream random(83, Purpose::test, key);
  Values values(static_cast<std::size_t>(shape.numel()));
  const std::size_t image = values.size() / static_cast<std::size_t>(shape[0]);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = low + (high - low) * random.uniform() + apart * static_cast<double>(i / image);
  return Tensor::from(values, shape, Device::reference);
}

struct Results {
  Values y, dx, d_residual, d_scale, d_bias, running_mean, running_variance;
};

// Forward and backward for the part of the images that process `rank` of `size` has.
Results run(const Kind& kind, const Place& place, int rank, int size) {
  const std::int64_t images = kind.x[0] / size, first = rank * images;
  const auto own_part = [&](const Tensor& all) {
    return all.rows(first, first + images).to(place.device, place.dtype).set_requires_grad();
  };
  const Shape channels{kind.x.back()};
  const auto of_channels = [&](std::uint32_t key, double low, double high) {
    return draw(channels, key, low, high).to(place.device, place.dtype).set_requires_grad();
  };
  const Tensor x = own_part(draw(kind.x, 1, -1, 1, 0.4)), dy = own_part(draw(kind.x, 2, -1, 1, 0.1));
  const Tensor residual = kind.residual ? own_part(draw(kind.x, 3, -1, 1)) : Tensor();
  const Tensor scale = of_channels(4, 0.5, 1.5), bias = of_channels(5, -1, 1);
  const Tensor running_mean = of_channels(6, -1, 1), running_variance = of_channels(7, 0.5, 2);
  Tape tape;
  const Tensor y = batch_norm({.x = x,
                               .scale = scale,
                               .bias = bias,
                               .residual = residual,
                               .relu = kind.relu,
                               .mode = Mode::train,
                               .running_mean = running_mean,
                               .running_variance = running_variance});
  tape.backward(y, dy);
  const auto gradient = [&](const Tensor& of) { return tape.gradient(of).to_vector<double>(); };
  return {.y = y.to_vector<double>(),
          .dx = gradient(x),
          .d_residual = kind.residual ? gradient(residual) : Values(),
          .d_scale = gradient(scale),
          .d_bias = gradient(bias),
          .running_mean = running_mean.to_vector<double>(),
          .running_variance = running_variance.to_vector<double>()};
}

// What the processes have together: images one after the other, gradients of parameters summed.
Results joined(const std::vector<Results>& parts) {
  Results all = parts.front();
  for (std::size_t r = 1; r < parts.size(); ++r) {
    for (Values Results::*of : {&Results::y, &Results::dx, &Results::d_residual})
      (all.*of).insert((all.*of).end(), (parts[r].*of).begin(), (parts[r].*of).end());
    for (Values Results::*of : {&Results::d_scale, &Results::d_bias})
      for (std::size_t c = 0; c < (all.*of).size(); ++c) (all.*of)[c] += (parts[r].*of)[c];
  }
  return all;
}

std::map<std::string, double> differences(const Results& found, const Results& expected) {
  std::map<std::string, double> of{
      {"y", relative_difference(found.y, expected.y)},
      {"dx", relative_difference(found.dx, expected.dx)},
      {"d_scale", relative_difference(found.d_scale, expected.d_scale)},
      {"d_bias", relative_difference(found.d_bias, expected.d_bias)},
      {"running mean", relative_difference(found.running_mean, expected.running_mean)},
      {"running variance", relative_difference(found.running_variance, expected.running_variance)}};
  if (!expected.d_residual.empty())
    of["d_residual"] = relative_difference(found.d_residual, expected.d_residual);
  return of;
}

std::vector<Results> run_on_processes(const Kind& kind, const Place& place, int size, bool shared) {
  std::vector<Results> parts(static_cast<std::size_t>(size));
  test::run_processes(size, [&](const Communicator& processes) {
    std::optional<SharedStatistics> scope;
    if (shared) scope.emplace(processes);
    parts[static_cast<std::size_t>(processes.rank())] = run(kind, place, processes.rank(), size);
  });
  return parts;
}

TEST_CASE("batch norm over processes: the result of one process that has all rows") {
  for (const Place& place : places)
    for (const Kind& kind : kinds) {
      const Results expected = run(kind, place, 0, 1);
      for (const int size : {2, 4}) {
        CAPTURE(name(place.device));
        CAPTURE(kind.x.to_string());
        CAPTURE(size);
        const std::vector<Results> parts = run_on_processes(kind, place, size, true);
        for (const auto& [what, difference] : differences(joined(parts), expected)) {
          CAPTURE(what);
          CHECK(difference <= place.tolerance);
        }
        for (const Results& part : parts) {  // to the bit: nothing brings them together again later
          CHECK(part.running_mean == parts[0].running_mean);
          CHECK(part.running_variance == parts[0].running_variance);
        }
      }
    }
}

TEST_CASE("batch norm over processes: statistics that are not shared are noticed") {
  for (const Place& place : places)
    for (const Kind& kind : kinds) {
      if (kind.x[0] == 4) continue;  // one row on each process is no batch
      CAPTURE(kind.x.to_string());
      const Results expected = run(kind, place, 0, 1);
      const auto found = differences(joined(run_on_processes(kind, place, 4, false)), expected);
      for (const char* what : {"y", "dx", "d_scale", "running mean", "running variance"}) {
        CAPTURE(what);
        CHECK(found.at(what) > 0.01);
      }
    }
}

// The other one of two processes, which always gives what this one gives.
class Twin : public Transport {
 public:
  explicit Twin(Device device) : device_(device) {}

  void all_reduce(void* data, std::int64_t count, DType type, Reduction reduction) override {
    REQUIRE(type == DType::f32);
    REQUIRE(reduction == Reduction::sum);
    ++sums;
    std::vector<float> values(static_cast<std::size_t>(count));
    read(data, values.data(), values.size() * sizeof(float));
    for (float& value : values) value *= 2;
    write(values.data(), data, values.size() * sizeof(float));
  }
  void all_gather(const void* from, void* to, std::size_t bytes) override {
    ++gathers;
    std::vector<std::byte> values(2 * bytes);
    read(from, values.data(), bytes);
    std::copy_n(values.begin(), bytes, values.begin() + static_cast<std::ptrdiff_t>(bytes));
    write(values.data(), to, 2 * bytes);
  }
  void broadcast(void*, std::size_t, int) override { ++others; }
  void start_sum(void*, std::int64_t, DType) override { ++others; }
  void finish_sums() override { ++others; }
  std::string description() const override { return "a twin"; }

  int sums = 0, gathers = 0, others = 0;

 private:
  void read(const void* from, void* to, std::size_t bytes) const {
    if (device_ == Device::cuda) return gpu().download(from, to, bytes);
    std::memcpy(to, from, bytes);
  }
  void write(const void* from, void* to, std::size_t bytes) const {
    if (device_ == Device::cuda) return gpu().upload(from, to, bytes);
    std::memcpy(to, from, bytes);
  }

  Device device_;
};

// Twins have the mean and the variance of each, so y and dx are those of one alone. This is also the check that the
// fused kernels, which know nothing of other processes, are not used: they would be faster for these shapes.
TEST_CASE("batch norm over processes: one message forward and one backward" * test::also_on_gpu) {
  const Kind kind{{6, 3, 5, 32}, true, true};
  for (const Device device : test::with_gpu({Device::reference, Device::cpu})) {
    CAPTURE(name(device));
    const Place place{device, DType::f32, 1e-5};
    const Results alone = run(kind, place, 0, 1);
    const auto twin = std::make_shared<Twin>(device);
    const Communicator processes(0, 2, twin, device == Device::cuda ? twin : nullptr);
    Results shared;
    {
      const SharedStatistics scope(processes);
      shared = run(kind, place, 0, 1);
      CHECK(twin->gathers == 1);
      CHECK(twin->sums == 1);
      const Communicator one;
      const SharedStatistics inner(one);
      run(kind, place, 0, 1);
    }
    run(kind, place, 0, 1);
    CHECK(twin->gathers == 1);  // neither in a scope of one process nor after the scope
    CHECK(twin->sums == 1);
    CHECK(twin->others == 0);
    CHECK(relative_difference(shared.y, alone.y) <= place.tolerance);
    CHECK(relative_difference(shared.dx, alone.dx) <= place.tolerance);
    CHECK(relative_difference(shared.d_residual, alone.d_residual) <= place.tolerance);
    // The parameters' gradients stay those of own rows: whoever sums all gradients sums these too.
    CHECK(relative_difference(shared.d_scale, alone.d_scale) <= place.tolerance);
    CHECK(relative_difference(shared.d_bias, alone.d_bias) <= place.tolerance);
    // The variance is v * 90 / 89 for one and v * 180 / 179 for two, and moves the running one by a tenth.
    const Values before = draw({kind.x.back()}, 7, 0.5, 2).to_vector<double>();
    for (std::size_t c = 0; c < before.size(); ++c) {
      const double of_one = alone.running_variance[c] - 0.9 * before[c];
      const double of_two = shared.running_variance[c] - 0.9 * before[c];
      CHECK(of_two == doctest::Approx(of_one * (180.0 / 179) / (90.0 / 89)).epsilon(1e-4));
    }
  }
}

TEST_CASE("batch norm over processes: no message in evaluation, and none backward if x needs no gradient") {
  const auto twin = std::make_shared<Twin>(Device::cpu);
  const Communicator processes(0, 2, twin);
  const SharedStatistics scope(processes);
  const Tensor x = draw({6, 3, 5, 32}, 1, -1, 1).to(Device::cpu, DType::f32);
  const auto of_channels = [](std::uint32_t key) {
    return draw({32}, key, 0.5, 1.5).to(Device::cpu, DType::f32);
  };
  BatchNormArguments arguments{.x = x,
                               .scale = of_channels(4).set_requires_grad(),
                               .bias = of_channels(5).set_requires_grad(),
                               .residual = {},
                               .mode = Mode::evaluate,
                               .running_mean = of_channels(6),
                               .running_variance = of_channels(7)};
  const auto forward_and_backward = [&] {
    Tape tape;
    const Tensor y = batch_norm(arguments);
    tape.backward(y, draw(x.shape(), 2, -1, 1).to(Device::cpu, DType::f32));
    return tape.gradient(arguments.scale).to_vector<double>();
  };
  forward_and_backward();
  CHECK(twin->gathers == 0);
  arguments.mode = Mode::train;
  const Values d_scale = forward_and_backward();
  CHECK(twin->gathers == 1);
  CHECK(twin->sums == 0);
  arguments.x = arguments.x.reshape(x.shape()).set_requires_grad();
  CHECK(forward_and_backward() == d_scale);
  CHECK(twin->sums == 1);
}

TEST_CASE("batch norm over processes: on device plan the merge is counted, and the end that waits for it") {
  const auto launches = [](const Communicator& processes) {
    const SharedStatistics scope(processes);
    WorkLog log;
    const auto of_channels = [] { return Tensor::empty({32}, DType::f32, Device::plan); };
    batch_norm({.x = Tensor::empty({6, 3, 5, 32}, DType::f32, Device::plan),
                .scale = of_channels(),
                .bias = of_channels(),
                .residual = {},
                .running_mean = of_channels(),
                .running_variance = of_channels()});
    std::map<std::string, int> counts;
    for (const WorkLog::Entry& entry : log.entries())
      counts[std::string(entry.kind->name())] += entry.work.launches;
    return counts;
  };
  const auto twin = std::make_shared<Twin>(Device::cpu);
  const Communicator one, two(0, 2, twin);
  std::map<std::string, int> expected = launches(one);
  expected["batch_norm.channels"] += 2;  // one process ends its statistics in the kernel that makes them
  CHECK((launches(two) == expected));
  CHECK(twin->gathers + twin->sums + twin->others == 0);
}

}  // namespace
}  // namespace kindred
