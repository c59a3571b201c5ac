// Learning rates of single parameters, and parameters that are frozen.
#include "../gpu.h"

#include <doctest/doctest.h>
#include <kindred/engine/optimizer/optimizer.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace kindred {
namespace {

using Values = std::vector<double>;

const OptimizerOptions optimizers[] = {
    SgdOptions{.momentum = 0.9, .weight_decay = 0.05}, SgdOptions{.momentum = 0, .weight_decay = 0.05},
    LarsOptions{.eta = 0.1, .weight_decay = 0.05}, RmsPropOptions{.weight_decay = 0.05},
    AdamWOptions{.weight_decay = 0.05}};

// Three weights with the same values and gradients, of odd sizes and more than one chunk.
struct Three {
  ParameterStore store;

  explicit Three(Device device) {
    for (const char* name : {"plain", "slow", "frozen"})
      store.add(name, {7, 3001}, ParameterKind::weight, constant_init(0.5f));
    store.allocate(device, 1);
    for (Parameter& parameter : store.parameters()) {
      RandomStream random(5, Purpose::test);
      std::vector<float> gradient(static_cast<std::size_t>(parameter.shape.numel()));
      for (float& value : gradient) value = random.normal();
      parameter.gradient.copy_from(Tensor::from(gradient, parameter.shape, Device::reference));
    }
  }
  Values values(const std::string& name) const { return store.find(name).value.to_vector<double>(); }
};

double factor_of(const Parameter& parameter) {
  return parameter.name == "frozen" ? 0 : parameter.name == "slow" ? 0.1 : 1;
}

TEST_CASE("a factor of 0.1 makes a step a tenth as long, and a frozen parameter keeps its bytes" *
          test::also_on_gpu) {
  for (const Device device : test::with_gpu({Device::reference, Device::cpu}))
    for (const OptimizerOptions& options : optimizers) {
      CAPTURE(name(device));
      CAPTURE(options.index());
      Three model(device);
      Optimizer optimizer(model.store, options, factor_of);
      optimizer.set_learning_rate(0.1);
      optimizer.step();
      const Values plain = model.values("plain"), slow = model.values("slow"), frozen = model.values("frozen");
      double largest_move = 0, largest_error = 0;
      for (std::size_t i = 0; i < plain.size(); ++i) {
        largest_move = std::max(largest_move, std::abs(plain[i] - 0.5));
        largest_error = std::max(largest_error, std::abs((slow[i] - 0.5) - 0.1 * (plain[i] - 0.5)));
      }
      CHECK(largest_move > 1e-4);
      CHECK(largest_error < 2e-7 + 1e-6 * largest_move);  // values of about 0.5 are rounded to 3e-8
      CHECK(frozen == Values(frozen.size(), 0.5));
      for (int step = 0; step < 3; ++step) optimizer.step();
      CHECK(model.values("frozen") == Values(frozen.size(), 0.5));
      for (const auto& [name, tensor] : optimizer.state())
        if (name.ends_with("momentum.frozen")) CHECK(tensor.to_vector<double>() == Values(frozen.size(), 0.0));
    }
}

TEST_CASE("factors of 1 are no factors, to the byte" * test::also_on_gpu) {
  for (const Device device : test::with_gpu({Device::reference, Device::cpu}))
    for (const OptimizerOptions& options : optimizers) {
      CAPTURE(name(device));
      CAPTURE(options.index());
      Three with(device), without(device);
      Optimizer first(with.store, options, [](const Parameter&) { return 1.0; }),
          second(without.store, options);
      for (Optimizer* optimizer : {&first, &second}) {
        optimizer->set_learning_rate(0.1);
        optimizer->step();
      }
      CHECK(with.values("slow") == without.values("slow"));
    }
}

TEST_CASE("factors that are no factors are refused, and so is an optimizer with nothing to train") {
  Three model(Device::cpu);
  for (const double bad : {-0.1, std::nan(""), HUGE_VAL, 0.0})
    CHECK_THROWS_AS(Optimizer(model.store, SgdOptions{}, [=](const Parameter&) { return bad; }), Error);
}

}  // namespace
}  // namespace kindred
