#include <doctest/doctest.h>
#include <kindred/engine/parameters.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/linear/linear.h>

#include <cmath>
#include <string>

namespace kindred {
namespace {

using Floats = std::vector<float>;

void declare(ParameterStore& store) {
  store.add("conv.weight", {5, 3, 3, 2}, ParameterKind::weight, normal_init(2));
  store.add("bn.weight", {5}, ParameterKind::normalization, constant_init(1));
  store.add("fc.weight", {64}, ParameterKind::weight, uniform_init(0.5f));
  store.add("fc.bias", {1}, ParameterKind::bias, uniform_init(0.5f));
  store.add_buffer("bn.running_var", {5}, 1);
}

TEST_CASE("parameters: flat, in windows at multiples of 64 elements, padded with zeros") {
  for (const Device device : {Device::reference, Device::cpu}) {
    ParameterStore store;
    declare(store);
    store.allocate(device, 3);
    CHECK(store.offsets() == std::vector<std::int64_t>{0, 128, 192, 256});
    CHECK(store.flat_values().shape() == Shape({320}));
    CHECK(store.flat_gradients().to_vector<float>() == Floats(320, 0));
    CHECK(store.parameter_count() == 90 + 5 + 64 + 1);
    CHECK_FALSE(store.flat_low().defined());
    const Floats values = store.flat_values().to_vector<float>();
    std::size_t not_padding = 0;
    for (std::size_t i = 0; i < values.size(); ++i) not_padding += values[i] != 0;
    CHECK(not_padding == 160);  // drawn values and ones; everything else is zero
    for (std::size_t i = 0; i < 4; ++i) {
      const Parameter& parameter = store.parameters()[i];
      CHECK(parameter.value.raw() == store.flat_values().data<float>() + store.offsets()[i]);
      CHECK(parameter.gradient.raw() == store.flat_gradients().data<float>() + store.offsets()[i]);
      CHECK(parameter.value.requires_grad());
    }
    CHECK(store.buffers()[0].value.to_vector<float>() == Floats(5, 1));
    CHECK_FALSE(store.buffers()[0].value.requires_grad());
  }
}

TEST_CASE("parameters: initial values depend on the seed and the place in the list") {
  ParameterStore a, b, c;
  for (ParameterStore* store : {&a, &b, &c}) declare(*store);
  a.allocate(Device::cpu, 3);
  b.allocate(Device::reference, 3, DType::bf16);
  c.allocate(Device::cpu, 4);
  CHECK(a.flat_values().to_vector<float>() == b.flat_values().to_vector<float>());
  CHECK(a.flat_values().to_vector<float>() != c.flat_values().to_vector<float>());
  for (const float value : a.find("fc.weight").value.to_vector<float>()) CHECK(std::abs(value) <= 0.5f);
  CHECK(a.find("bn.weight").value.to_vector<float>() == Floats(5, 1));
}

TEST_CASE("parameters: names are unique, and unknown ones are an error") {
  ParameterStore store;
  declare(store);
  CHECK_THROWS_AS(store.add("fc.bias", {2}, ParameterKind::bias, constant_init(0)), Error);
  CHECK_THROWS_AS(store.find("fc.bia"), Error);
  store.allocate(Device::cpu, 0);
  CHECK_THROWS_AS(store.add("late", {2}, ParameterKind::bias, constant_init(0)), Error);
}

TEST_CASE("parameters: the bf16 copy stands for its master on the tape") {
  ParameterStore store;
  declare(store);
  store.allocate(Device::cpu, 3, DType::bf16);
  const Parameter& weight = store.find("conv.weight");
  CHECK(weight.as(DType::f32).raw() == weight.value.raw());
  const Tensor& low = weight.as(DType::bf16);
  CHECK(low.raw() == weight.low.raw());
  CHECK(low.id() == weight.value.id());
  CHECK(low.gradient_dtype() == DType::f32);
  CHECK(low.requires_grad());
  const Floats master = weight.value.to_vector<float>(), copy = low.to_vector<float>();
  for (std::size_t i = 0; i < master.size(); ++i) CHECK(copy[i] == float(BFloat16(master[i])));
  CHECK_THROWS_AS(weight.as(DType::f64), Error);

  Tensor(weight.value).fill(3);
  CHECK(low.to_vector<float>() != Floats(90, 3));
  store.refresh_low_precision();
  CHECK(low.to_vector<float>() == Floats(90, 3));
}

TEST_CASE("parameters: float64 masters for checks, and a plan that has only shapes") {
  ParameterStore exact, plan;
  declare(exact);
  declare(plan);
  exact.allocate(Device::reference, 3, DType::f64, DType::f64);
  CHECK(exact.find("fc.weight").value.dtype() == DType::f64);
  CHECK(exact.find("fc.weight").gradient.dtype() == DType::f64);
  plan.allocate(Device::plan, 3, DType::bf16);
  CHECK(plan.find("fc.weight").low.shape() == Shape({64}));
}

TEST_CASE("parameters: a gradient of a store that is not attached is an error, not lost") {
  ParameterStore store;
  const Linear layer(store, "fc", 2, 1);
  CHECK_THROWS_AS(layer(Tensor::zeros({1, 2}, DType::f32, Device::cpu)), Error);  // allocate() is missing
  for (const DType compute : {DType::f32, DType::bf16}) {
    ParameterStore own;
    const Linear fc(own, "fc", 2, 1);
    own.allocate(Device::cpu, 0, compute);
    const Tensor x = Tensor::full({1, 2}, 3, compute, Device::cpu),
                 dy = Tensor::full({1, 1}, 1, compute, Device::cpu);
    std::string message;
    try {
      Tape tape;
      tape.backward(fc(x), dy);
    } catch (const Error& error) {
      message = error.what();
    }
    CHECK(message.starts_with("backward(): the gradient of a parameter of shape ["));
    CHECK(message.ends_with(
        "because its store is not attached to this tape; call ParameterStore::attach(tape) before "
        "backward()"));
    Tape tape;
    own.attach(tape);
    tape.backward(fc(x), dy);
    CHECK(own.find("fc.weight").gradient.to_vector<float>() == Floats{3, 3});
    CHECK(own.find("fc.bias").gradient.to_vector<float>() == Floats{1});
  }
}

TEST_CASE("parameters: a frozen store need not be attached") {
  ParameterStore frozen, trained;
  const Linear below(frozen, "below", 2, 2), above(trained, "above", 2, 1);
  frozen.allocate(Device::cpu, 0);
  trained.allocate(Device::cpu, 0);
  frozen.set_trainable(false);
  Tape tape;
  trained.attach(tape);
  tape.backward(above(below(Tensor::full({1, 2}, 3, DType::f32, Device::cpu))),
                Tensor::full({1, 1}, 1, DType::f32, Device::cpu));
  CHECK(trained.find("above.bias").gradient.to_vector<float>() == Floats{1});
}

}  // namespace
}  // namespace kindred
