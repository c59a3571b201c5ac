// The optimizers and schedules against PyTorch's and the papers' (tests/golden/golden_optimizers.py).
#include <doctest/doctest.h>
#include <kindred/engine/optimizer/optimizer.h>
#include <kindred/engine/optimizer/schedule.h>

#include "../golden/formula.h"
#include "../gpu.h"

#include <algorithm>
#include <cmath>

namespace kindred {
namespace {

using nlohmann::json;
using Doubles = std::vector<double>;

const json& fixture() {
  static const json loaded = golden::load_fixture("optimizers");
  return loaded;
}

OptimizerOptions options_of(const json& c) {
  const bool everything = c.at("exempt").empty();
  const double decay = c.at("weight_decay"), momentum = c.value("momentum", 0.0);
  if (c.at("optimizer") == "sgd") return SgdOptions{momentum, c.at("nesterov").get<bool>(), decay, everything};
  if (c.at("optimizer") == "rmsprop")
    return RmsPropOptions{c.at("rho"), momentum, c.at("eps"), decay, everything, c.at("initial_mean_square")};
  if (c.at("optimizer") == "adamw")
    return AdamWOptions{c.at("beta1"), c.at("beta2"), c.at("eps"), decay, everything};
  REQUIRE(c.at("optimizer") == "lars");
  const bool combined = c.at("trust_norm") == "combined";
  return LarsOptions{momentum, c.at("eta"), decay, combined ? TrustNorm::combined : TrustNorm::separate,
                     everything};
}

// The largest difference over all parameters and steps.
double run_case(const json& c, Device device, DType master) {
  ParameterStore store;
  store.add("weight", {3, 4}, ParameterKind::weight, constant_init(0));
  store.add("filter", {2, 4}, ParameterKind::weight, constant_init(0));
  store.add("bias", {5}, ParameterKind::bias, constant_init(0));
  store.allocate(device, 0, master, master);
  const auto put = [](const json& values, Tensor target) {
    target.copy_from(Tensor::from(values.get<Doubles>(), target.shape(), Device::reference));
  };
  const json& initial = c.contains("initial") ? c.at("initial") : fixture().at("initial");
  const json& gradients = c.contains("gradients") ? c.at("gradients") : fixture().at("gradients");
  for (const Parameter& parameter : store.parameters()) put(initial.at(parameter.name), parameter.value);

  Optimizer optimizer(store, options_of(c));
  double worst = 0;
  for (std::size_t step = 0; step < c.at("after").size(); ++step) {
    for (const Parameter& parameter : store.parameters())
      put(gradients.at(step).at(parameter.name), parameter.gradient);
    optimizer.set_learning_rate(fixture().at("lr").at(step));
    optimizer.step();
    for (const Parameter& parameter : store.parameters()) {
      const auto expected = c.at("after").at(step).at(parameter.name).get<Doubles>();
      const Doubles found = parameter.value.to_vector<double>();
      REQUIRE(found.size() == expected.size());
      for (std::size_t i = 0; i < found.size(); ++i) {
        const double difference = std::abs(found[i] - expected[i]);
        worst = std::isfinite(difference) ? std::max(worst, difference) : HUGE_VAL;
      }
    }
  }
  return worst;
}

TEST_CASE("golden optimizers: six steps give PyTorch's and TensorFlow's values" * test::also_on_gpu) {
  REQUIRE(fixture().at("cases").size() >= 13);
  for (const json& c : fixture().at("cases")) {
    CAPTURE(c.at("name").get<std::string>());
    CHECK(run_case(c, Device::reference, DType::f64) <= 1e-14);
    // Six steps of rounding to 2^-24, with values up to 3 and steps up to 1.
    CHECK(run_case(c, Device::reference, DType::f32) <= 4e-6);
    for (const Device device : test::with_gpu({Device::cpu})) CHECK(run_case(c, device, DType::f32) <= 4e-6);
  }
}

Schedule schedule_of(const json& c) {
  const std::string kind = c.at("schedule");
  const double lr = c.at("lr");
  const auto without_warmup = [&] {
    if (kind == "cosine") return Schedule::cosine(lr, c.at("steps"));
    if (kind == "step") return Schedule::step(lr, c.at("milestones"), c.at("factor"));
    if (kind == "exponential")
      return Schedule::exponential(lr, c.at("factor"), c.at("period"), c.at("staircase"));
    REQUIRE(kind == "constant");
    return Schedule::constant(lr);
  };
  return without_warmup().with_warmup({.steps = c.at("warmup_steps")});
}

TEST_CASE("golden optimizers: the schedules give the fixture's rates") {
  REQUIRE(fixture().at("schedules").size() >= 8);
  for (const json& c : fixture().at("schedules")) {
    CAPTURE(c.at("name").get<std::string>());
    const Schedule schedule = schedule_of(c);
    const auto values = c.at("values").get<Doubles>();
    for (std::size_t k = 0; k < values.size(); ++k)
      CHECK(schedule.at(static_cast<std::int64_t>(k)) == doctest::Approx(values[k]).epsilon(1e-13));
  }
}

}  // namespace
}  // namespace kindred
