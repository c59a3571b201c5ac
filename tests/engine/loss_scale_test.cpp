// Dynamic loss scaling on every available device, and the precisions.
#include "../errors.h"
#include "../gpu.h"

#include <kindred/engine/optimizer/optimizer.h>
#include <kindred/engine/precision.h>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace kindred {
namespace {

using Doubles = std::vector<double>;

std::vector<Device> every_device() {
  return test::with_gpu({Device::reference, Device::cpu});
}

const OptimizerOptions every_optimizer[] = {
    SgdOptions{.momentum = 0.9, .weight_decay = 0.05},
    SgdOptions{.momentum = 0},
    LarsOptions{.eta = 0.1, .weight_decay = 0.05},
    LarsOptions{.eta = 0.1, .weight_decay = 0.05, .trust_norm = TrustNorm::combined},
    RmsPropOptions{.weight_decay = 0.05},
    AdamWOptions{.weight_decay = 0.05},
};

struct Model {
  ParameterStore store;
  explicit Model(Device device) {
    store.add("weight", {37, 501}, ParameterKind::weight, uniform_init(1));
    store.add("bias", {5}, ParameterKind::bias, uniform_init(1));
    store.allocate(device, 1);
  }
  void set_gradients(double factor, double first = 0) {
    for (Parameter& parameter : store.parameters()) {
      Doubles values(static_cast<std::size_t>(parameter.shape.numel()));
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = factor * (static_cast<double>(i % 17) / 8 - 1);
      if (parameter.name == "bias" && first != 0) values[0] = first;
      parameter.gradient.copy_from(Tensor::from(values, parameter.shape, Device::reference));
    }
  }
  Doubles values() const { return store.flat_values().to_vector<double>(); }
};

// A model under plain SGD with a scaled loss.
struct Scaled : Model {
  explicit Scaled(Device device) : Model(device), optimizer(store, SgdOptions{}) {
    optimizer.scale_loss();
    optimizer.set_learning_rate(0.1);
  }
  Optimizer optimizer;
};

TEST_CASE("optimizer: scaled gradients make the same update to the bit" * test::also_on_gpu) {
  for (const Device device : every_device())
    for (const OptimizerOptions& options : every_optimizer) {
      CAPTURE(name(device));
      Model plain(device), scaled(device);
      Optimizer plain_optimizer(plain.store, options), scaled_optimizer(scaled.store, options);
      scaled_optimizer.scale_loss();
      CHECK_FALSE(plain_optimizer.loss_scale().defined());
      CHECK(scaled_optimizer.loss_scale().shape() == Shape());
      for (int step = 1; step <= 3; ++step) {
        plain_optimizer.set_learning_rate(0.1);
        scaled_optimizer.set_learning_rate(0.1);
        plain.set_gradients(step);
        scaled.set_gradients(step * scaled_optimizer.loss_scale().to_vector<double>()[0]);
        plain_optimizer.step();
        scaled_optimizer.step();
      }
      CHECK(plain.values() == scaled.values());
      CHECK(scaled_optimizer.loss_scale_figures().scale == 65536);
      CHECK(plain_optimizer.loss_scale_figures().scale == 1);
    }
}

TEST_CASE("optimizer: an overflow costs the step, halves the scale and is forgotten" * test::also_on_gpu) {
  for (const Device device : every_device()) {
    CAPTURE(name(device));
    Scaled model(device);
    Optimizer& optimizer = model.optimizer;
    const Doubles before = model.values();
    for (const double bad : {std::numeric_limits<double>::infinity(), std::nan("")}) {
      model.set_gradients(1, bad);
      optimizer.step();
      CHECK(model.values() == before);
      CHECK(optimizer.non_finite() == Optimizer::none);
    }
    CHECK(optimizer.loss_scale_figures().scale == 16384);
    CHECK(optimizer.loss_scale_figures().skipped_steps == 2);
    CHECK(optimizer.loss_scale().to_vector<double>()[0] == 16384);
    model.set_gradients(1);
    optimizer.step();
    CHECK(model.values() != before);
  }
}

TEST_CASE("optimizer: what no scale can mend stays raised" * test::also_on_gpu) {
  for (const Device device : every_device()) {
    CAPTURE(name(device));
    Scaled model(device);
    Optimizer& optimizer = model.optimizer;
    const Doubles before = model.values();
    for (int step = 0; step < 17; ++step) {  // 2^16 is halved down to 1, and one step more
      CHECK(optimizer.non_finite() == Optimizer::none);
      model.set_gradients(1, std::nan(""));
      optimizer.step();
    }
    CHECK(optimizer.non_finite() == Optimizer::gradient);
    CHECK(optimizer.loss_scale_figures().scale == 1);
    CHECK(model.values() == before);

    Scaled other(device);
    Optimizer& watching = other.optimizer;
    other.set_gradients(1);
    watching.watch_loss(Tensor::full({}, std::nan(""), DType::f32, device));
    watching.step();
    CHECK(watching.non_finite() == Optimizer::loss);
    CHECK(watching.loss_scale_figures().scale == 65536);
    CHECK(other.values() == before);
  }
}

TEST_CASE("loss scale: two thousand good steps in a row double it, up to its largest") {
  using Rule = LossScaleRule<float>;
  float state[Rule::places] = {Rule::first, 1 / Rule::first, 0, 0};
  std::int32_t flag = 0;
  for (int step = 0; step < 1999; ++step) Rule()(state, flag, 1);
  CHECK(state[Rule::scale] == Rule::first);
  flag = 1;
  Rule()(state, flag, 1);
  CHECK(flag == 0);
  for (int step = 0; step < 2000; ++step) Rule()(state, flag, 1);
  CHECK(state[Rule::scale] == Rule::first);
  CHECK(state[Rule::inverse] == 1 / Rule::first);
  for (int step = 0; step < 100000; ++step) Rule()(state, flag, 1);
  CHECK(state[Rule::scale] == Rule::largest);
  CHECK(state[Rule::skipped_steps] == 1);
}

TEST_CASE("optimizer: the loss scale is part of what a checkpoint holds") {
  Scaled model(Device::cpu);
  const Optimizer& optimizer = model.optimizer;
  auto state = optimizer.state();
  REQUIRE(state.back().first == "optimizer.loss_scale");
  state.back().second.copy_from(Tensor::from(Doubles{256, 1.0 / 256, 7, 3}, {4}, Device::cpu));
  CHECK(optimizer.loss_scale_figures().scale == 256);
  CHECK(optimizer.loss_scale_figures().skipped_steps == 3);
}

TEST_CASE("precision: names, defaults, and what each device refuses") {
  for (const char* text : {"f32", "tf32", "bf16", "f16"}) CHECK(name(parse_precision(text)) == text);
  CHECK_THROWS_WITH_AS(parse_precision("fp16"), doctest::Contains("expected f32, tf32, bf16 or f16"), Error);
  CHECK(default_precision(Device::cpu) == Precision{});
  CHECK(default_precision(Device::cuda) == Precision{DType::bf16});
  CHECK(parse_precision("f16").scales_loss());
  for (const char* text : {"tf32", "f16"}) {
    CHECK_THROWS_WITH_AS(check_precision(parse_precision(text), Device::cpu),
                         doctest::Contains("device cpu computes in f32 or bf16"), Error);
    CHECK(test::cause_of([&] { check_precision(parse_precision(text), Device::cpu); }) == Cause::needs_gpu);
    CHECK_NOTHROW(check_precision(parse_precision(text), Device::cuda));
  }
  CHECK_NOTHROW(check_precision(parse_precision("bf16"), Device::cpu));
  CHECK_THROWS_AS(check_precision(parse_precision("bf16"), Device::reference), Error);
}

}  // namespace
}  // namespace kindred
