// Gradients that kernels write in 16 bits and the tape converts together: the same bits as one conversion at a time,
// added where they must be, final when the tape says so, and few launches.
#include "../../emulated_gpu.h"
#include "../../layers/sixteenths.h"

#include <kindred/engine/kernels/work.h>
#include <kindred/engine/memory.h>
#include <kindred/engine/parameters.h>
#include <kindred/engine/recording.h>
#include <kindred/layers/conv2d/conv2d.h>
#include <kindred/layers/conv2d/kernels.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>

namespace kindred {
namespace {

// A stem of padded images, a strided layer, and 1x1 filters with an odd number of results.
struct ThreeLayers {
  ParameterStore store;
  Conv2d stem, strided, last;

  explicit ThreeLayers(Device device, DType dtype = DType::bf16)
      : stem(store, "stem", 3, 8, 3, {1, 1}, Conv2dInit::pytorch_default),
        strided(store, "strided", 8, 16, 3, {2, 1}, Conv2dInit::pytorch_default),
        last(store, "last", 16, 5, 1, {1, 0}, Conv2dInit::pytorch_default) {
    store.allocate(device, 7, dtype);
  }
  Tensor operator()(const Tensor& x) const { return last(strided(stem(x))); }
};

// Images of 7 x 6 pixels, as normalize_images gives them to a GPU.
Tensor padded_images(std::uint32_t which) {
  std::vector<float> values = test::sixteenths({2, 7, 6, 8}, which).to_vector<float>();
  for (std::size_t i = 0; i < values.size(); ++i)
    if (i % 8 >= 3) values[i] = 0;
  return Tensor::from(values, {2, 7, 6, 8}, Device::reference).to(Device::cuda, DType::bf16);
}

Tensor cotangent(std::uint32_t which) {
  return test::sixteenths({2, 4, 3, 5}, which).to(Device::cuda, DType::bf16);
}

// Filters that are no parameter's, whose gradient is f32 nevertheless.
Tensor copy_with_f32_gradient(const Tensor& filters) {
  Tensor master = Tensor::empty(filters.shape(), DType::f32, filters.device());
  Tensor copy = filters.to(filters.device(), filters.dtype());
  copy.stand_for(master.set_requires_grad());
  return copy;
}

// Each gradient by a conversion of its own: of filters that are no parameters, and have no buffer.
std::vector<std::vector<float>> gradients_one_by_one(const ThreeLayers& net, const Tensor& x,
                                                     const Tensor& dy) {
  std::vector<Tensor> filters;
  for (const Parameter& parameter : net.store.parameters())
    filters.push_back(copy_with_f32_gradient(parameter.low));
  Tape tape;
  const Tensor y = conv2d(conv2d(conv2d(x, filters[0], {1, 1}), filters[1], {2, 1}), filters[2], {1, 0});
  tape.backward(y, dy);
  std::vector<std::vector<float>> gradients;
  for (const Tensor& each : filters) gradients.push_back(tape.gradient(each).to_vector<float>());
  return gradients;
}

std::vector<std::vector<float>> gradients_of(const ParameterStore& store) {
  std::vector<std::vector<float>> gradients;
  for (const Parameter& parameter : store.parameters())
    gradients.push_back(parameter.gradient.to_vector<float>());
  return gradients;
}

std::vector<std::vector<float>> sum_of_gradients(std::vector<std::vector<float>> a,
                                                 const std::vector<std::vector<float>>& b) {
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t k = 0; k < a[i].size(); ++k) a[i][k] += b[i][k];
  return a;
}

TEST_CASE("narrow gradients on a GPU: converted together, they have the same bits" * test::needs_gpu) {
  const test::DeterministicPlans rule;
  MemoryPool& pool = memory_pool(Device::cuda);
  pool.set_poison(true);
  ThreeLayers net(Device::cuda);
  const Tensor x = padded_images(1), dy = cotangent(2);
  const auto expected = gradients_one_by_one(net, x, dy);
  for (const auto& gradient : expected)  // random, and not zero
    REQUIRE(std::count(gradient.begin(), gradient.end(), 0.0f) <
            static_cast<std::ptrdiff_t>(gradient.size() / 2));
  for (int pass = 0; pass < 2; ++pass) {  // the second overwrites what the first left
    Tape tape;
    net.store.attach(tape);
    tape.backward(net(x), dy);
    CHECK(gradients_of(net.store) == expected);
    for (const Parameter& parameter : net.store.parameters())
      CHECK(tape.gradient(parameter.value).raw() == parameter.gradient.raw());
  }
  pool.set_poison(false);
}

TEST_CASE("narrow gradients on a GPU: added to those of other passes and other uses" * test::needs_gpu) {
  const test::DeterministicPlans rule;
  ThreeLayers net(Device::cuda);
  const Tensor x = padded_images(3), other_x = padded_images(4), dy = cotangent(5), other_dy = cotangent(6);
  const auto one = gradients_one_by_one(net, x, dy), other = gradients_one_by_one(net, other_x, other_dy);
  // Micro-batches: a tape for each.
  Tensor(net.store.flat_gradients()).fill(0);
  for (const bool second : {false, true}) {
    Tape tape;
    net.store.attach(tape, true);
    tape.backward(net(second ? other_x : x), second ? other_dy : dy);
  }
  CHECK(gradients_of(net.store) == sum_of_gradients(one, other));
  // Views of two sizes: the same filters twice on one tape. The last use comes first.
  {
    Tape tape;
    net.store.attach(tape);
    Tensor both = Tensor::empty({2}, DType::bf16, Device::cuda);
    const Tensor y = net(x), other_y = net(other_x);
    tape.record(*Operation::all().front(), {&y, &other_y}, {&both}, {}, [&](BackwardStep& step) {
      step.pass_gradient(0, dy);
      step.pass_gradient(1, other_dy);
    });
    tape.backward(both, Tensor::zeros({2}, DType::bf16, Device::cuda));
  }
  CHECK(gradients_of(net.store) == sum_of_gradients(other, one));
}

// Sums over processes start when a gradient is final: it must be in its buffer then, though it was converted late.
TEST_CASE("narrow gradients on a GPU: a gradient that is called final has been converted" * test::needs_gpu) {
  const test::DeterministicPlans rule;
  ThreeLayers net(Device::cuda);
  const Tensor x = padded_images(7), dy = cotangent(8);
  const auto expected = gradients_one_by_one(net, x, dy);
  Tensor(net.store.flat_gradients()).fill(99);
  Tape tape;
  net.store.attach(tape);
  std::map<std::uint64_t, std::vector<float>> told;
  tape.when_gradient_is_final([&](std::uint64_t id) {
    for (const Parameter& parameter : net.store.parameters())
      if (parameter.value.id() == id) {
        CHECK_FALSE(told.contains(id));
        told[id] = parameter.gradient.to_vector<float>();
      }
  });
  tape.backward(net(x), dy);
  REQUIRE(told.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(told.at(net.store.parameters()[i].value.id()) == expected[i]);
}

TEST_CASE("narrow gradients on a GPU: recorded and replayed twice" * test::needs_gpu) {
  const test::DeterministicPlans rule;
  ThreeLayers net(Device::cuda);
  Tensor x = padded_images(9), dy = cotangent(10);
  const Recording recording(new_memory_pool(Device::cuda), [&] {
    Tape tape;
    net.store.attach(tape);
    tape.backward(net(x), dy);
  });
  for (const std::uint32_t which : {11u, 13u}) {
    x.copy_from(padded_images(which));
    dy.copy_from(cotangent(which + 1));
    Tensor(net.store.flat_gradients()).fill(99);
    recording.replay();
    CHECK(gradients_of(net.store) == gradients_one_by_one(net, x, dy));
  }
}

TEST_CASE("narrow gradients: predicted, they take one launch") {
  struct PlansForGpu {
    Device before = planned_device();
    PlansForGpu() { set_planned_device(Device::cuda); }
    ~PlansForGpu() { set_planned_device(before); }
  };
  const PlansForGpu planned;
  ThreeLayers net(Device::plan);
  const std::int64_t filters = net.store.parameter_count();
  for (const bool accumulates : {false, true}) {
    const WorkLog log;
    Tape tape;
    net.store.attach(tape, accumulates);
    const Tensor y = net(Tensor::empty({2, 7, 6, 8}, DType::bf16, Device::plan));
    tape.backward(y, Tensor::empty_like(y));
    int launches = 0, others = 0;
    for (const WorkLog::Entry& entry : log.entries()) {
      if (entry.backward && entry.kind->name() == "add") ++others;
      if (!entry.backward || entry.kind->name() != "conv2d.repack") continue;
      launches += entry.work.launches;
      CHECK(entry.work.written == 4 * filters);
      CHECK(entry.work.read ==
            2 * (filters + 8 * 9 * 5) + (accumulates ? 4 * filters : 0));  // 5 columns of zeros
    }
    CHECK(launches == 1);
    CHECK(others == 0);
  }
}

}  // namespace
}  // namespace kindred
