#include "../gpu.h"

#include <doctest/doctest.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/optimizer/optimizer.h>

#include <cmath>
#include <limits>

namespace kindred {
namespace {

using Doubles = std::vector<double>;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

// Includes the GPU if there is one or if it is emulated.
std::vector<Device> every_device() {
  return test::with_gpu({Device::reference, Device::cpu});
}

// A weight of several chunks, a small weight, a scale and a bias. The sizes are odd.
struct Model {
  ParameterStore store;

  explicit Model(Device device, DType compute = DType::f32, DType master = DType::f32) {
    store.add("large", {7, 6007}, ParameterKind::weight, normal_init(0.5f));
    store.add("scale", {13}, ParameterKind::normalization, constant_init(1));
    store.add("small", {5, 3}, ParameterKind::weight, uniform_init(1));
    store.add("bias", {5}, ParameterKind::bias, uniform_init(0.1f));
    store.allocate(device, 1, compute, master);
  }
  void draw_gradients(std::uint32_t step) {
    for (std::uint32_t i = 0; i < store.parameters().size(); ++i) {
      RandomStream random(7, Purpose::test, step, i);
      Parameter& parameter = store.parameters()[i];
      std::vector<float> values(static_cast<std::size_t>(parameter.shape.numel()));
      for (float& value : values) value = random.normal();
      parameter.gradient.copy_from(Tensor::from(values, parameter.shape, Device::reference));
    }
  }
  Doubles values() const { return store.flat_values().to_vector<double>(); }
};

double largest_difference(const Doubles& a, const Doubles& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    largest = std::isfinite(a[i]) ? std::max(largest, std::abs(a[i] - b[i])) : infinity;
  return largest;
}

const OptimizerOptions every_optimizer[] = {
    SgdOptions{.momentum = 0.9, .nesterov = true, .weight_decay = 0.05},
    SgdOptions{.momentum = 0, .weight_decay = 0.05, .decay_normalization_and_biases = false},
    LarsOptions{.eta = 0.1, .weight_decay = 0.05},
    LarsOptions{.eta = 0.1, .weight_decay = 0.05, .trust_norm = TrustNorm::combined},
    RmsPropOptions{.weight_decay = 0.05, .decay_normalization_and_biases = false},
    AdamWOptions{.weight_decay = 0.05},
    AdamWOptions{.beta1 = 0, .beta2 = 0.9, .eps = 0.01, .decay_normalization_and_biases = false},
};

// The formulas again, for each parameter in double, written without the engine's rules.
struct PlainOptimizer {
  OptimizerOptions options;
  std::vector<Doubles> w, v, s;
  int steps = 0;

  PlainOptimizer(const Model& model, const OptimizerOptions& chosen) : options(chosen) {
    for (const Parameter& parameter : model.store.parameters()) {
      w.push_back(parameter.value.to_vector<double>());
      v.emplace_back(w.back().size(), 0.0);
      const auto* rmsprop = std::get_if<RmsPropOptions>(&options);
      s.emplace_back(w.back().size(), rmsprop ? rmsprop->initial_mean_square : 0.0);
    }
  }

  void step(const Model& model, double lr) {
    ++steps;
    for (std::size_t p = 0; p < w.size(); ++p) {
      const Parameter& parameter = model.store.parameters()[p];
      const bool weight = parameter.kind == ParameterKind::weight;
      const Doubles g = parameter.gradient.to_vector<double>();
      if (const auto* o = std::get_if<SgdOptions>(&options)) {
        const double decay = weight || o->decay_normalization_and_biases ? o->weight_decay : 0;
        for (std::size_t i = 0; i < g.size(); ++i) {
          const double decayed = g[i] + decay * w[p][i];
          v[p][i] = o->momentum * v[p][i] + decayed;
          w[p][i] -= lr * (o->nesterov ? decayed + o->momentum * v[p][i] : v[p][i]);
        }
      } else if (const auto* l = std::get_if<LarsOptions>(&options)) {
        const double decay = weight ? l->weight_decay : 0;
        double ww = 0, gg = 0, both = 0;
        for (std::size_t i = 0; i < g.size(); ++i) {
          ww += w[p][i] * w[p][i];
          gg += g[i] * g[i];
          both += (g[i] + decay * w[p][i]) * (g[i] + decay * w[p][i]);
        }
        const double below =
            l->trust_norm == TrustNorm::combined ? std::sqrt(both) : std::sqrt(gg) + decay * std::sqrt(ww);
        const double local = weight ? l->eta * std::sqrt(ww) / below : 1;
        for (std::size_t i = 0; i < g.size(); ++i) {
          v[p][i] = l->momentum * v[p][i] + lr * local * (g[i] + decay * w[p][i]);
          w[p][i] -= v[p][i];
        }
      } else if (const auto* r = std::get_if<RmsPropOptions>(&options)) {
        const double decay = weight || r->decay_normalization_and_biases ? r->weight_decay : 0;
        for (std::size_t i = 0; i < g.size(); ++i) {
          const double decayed = g[i] + decay * w[p][i];
          s[p][i] = r->rho * s[p][i] + (1 - r->rho) * decayed * decayed;
          v[p][i] = r->momentum * v[p][i] + lr * decayed / std::sqrt(s[p][i] + r->eps);
          w[p][i] -= v[p][i];
        }
      } else if (const auto* a = std::get_if<AdamWOptions>(&options)) {
        const double decay = weight || a->decay_normalization_and_biases ? a->weight_decay : 0;
        for (std::size_t i = 0; i < g.size(); ++i) {
          v[p][i] = a->beta1 * v[p][i] + (1 - a->beta1) * g[i];
          s[p][i] = a->beta2 * s[p][i] + (1 - a->beta2) * g[i] * g[i];
          const double mean = v[p][i] / (1 - std::pow(a->beta1, steps));
          const double square = s[p][i] / (1 - std::pow(a->beta2, steps));
          w[p][i] = (1 - lr * decay) * w[p][i] - lr * mean / (std::sqrt(square) + a->eps);
        }
      }
    }
  }

  double difference(const Model& model) const {
    double largest = 0;
    for (std::size_t p = 0; p < w.size(); ++p)
      largest =
          std::max(largest, largest_difference(model.store.parameters()[p].value.to_vector<double>(), w[p]));
    return largest;
  }
};

TEST_CASE("optimizer: every rule follows its formula on every device" * test::also_on_gpu) {
  struct Target {
    Device device;
    DType master;
    double tolerance;  // values are around 1; f32 rounds each of five steps to 2^-24 relative
  };
  std::vector<Target> targets{{Device::reference, DType::f64, 1e-12}};
  for (const Device device : every_device()) targets.push_back({device, DType::f32, 2e-6});
  for (const Target& target : targets)
    for (const OptimizerOptions& options : every_optimizer) {
      CAPTURE(name(target.device));
      CAPTURE(options.index());
      Model model(target.device, target.master, target.master);
      PlainOptimizer plain(model, options);
      Optimizer optimizer(model.store, options);
      for (std::uint32_t step = 0; step < 5; ++step) {
        model.draw_gradients(step);
        optimizer.set_learning_rate(0.1 / (step + 1));
        optimizer.step();
        plain.step(model, 0.1 / (step + 1));
      }
      CHECK(plain.difference(model) <= target.tolerance);
      CHECK(plain.difference(Model(target.device, target.master, target.master)) > 0.01);  // it did change
    }
}

TEST_CASE("optimizer: the result does not depend on the number of threads") {
  const int threads = compute_threads();
  for (const OptimizerOptions& options : every_optimizer) {
    std::vector<Doubles> results;
    for (const int count : {1, 2, 3}) {
      set_compute_threads(count);
      Model model(Device::cpu);
      Optimizer optimizer(model.store, options);
      optimizer.set_learning_rate(0.1);
      for (std::uint32_t step = 0; step < 3; ++step) {
        model.draw_gradients(step);
        optimizer.step();
      }
      results.push_back(model.values());
    }
    CHECK(results[0] == results[1]);
    CHECK(results[0] == results[2]);
  }
  set_compute_threads(threads);
}

TEST_CASE("optimizer: a step renews the low-precision copy and leaves the padding zero" * test::also_on_gpu) {
  std::vector<std::pair<Device, DType>> targets;
  for (const Device device : every_device()) targets.emplace_back(device, DType::bf16);
  if (test::has_gpu()) targets.emplace_back(Device::cuda, DType::f16);
  for (const auto& [device, compute] : targets)
    for (const OptimizerOptions& options : every_optimizer) {
      CAPTURE(name(device));
      Model model(device, compute);
      Optimizer optimizer(model.store, options);
      optimizer.set_learning_rate(0.3);
      model.draw_gradients(0);
      optimizer.step();
      const std::vector<float> values = model.store.flat_values().to_vector<float>();
      const std::vector<float> low = model.store.flat_low().to_vector<float>();
      int wrong = 0;
      for (std::size_t i = 0; i < values.size(); ++i)
        wrong += low[i] != (compute == DType::bf16 ? float(BFloat16(values[i])) : float(Float16(values[i])));
      CHECK(wrong == 0);
      const auto bias_end = static_cast<std::size_t>(model.store.offsets()[3]) + 5;
      for (std::size_t i = bias_end; i < values.size(); ++i) CHECK(values[i] == 0);
    }
}

TEST_CASE("optimizer: nothing changes once a gradient was not finite" * test::also_on_gpu) {
  for (const Device device : every_device())
    for (const OptimizerOptions& options : every_optimizer)
      for (const float bad : {not_a_number, infinity, -infinity}) {
        Model model(device, DType::bf16);
        Optimizer optimizer(model.store, options);
        optimizer.set_learning_rate(0.1);
        model.draw_gradients(0);
        optimizer.step();
        CHECK(optimizer.non_finite() == Optimizer::none);
        CHECK(first_non_finite(model.store) == "");
        const Doubles values = model.values(), low = model.store.flat_low().to_vector<double>();
        std::vector<Doubles> state;
        for (const auto& [name, tensor] : optimizer.state()) state.push_back(tensor.to_vector<double>());

        model.draw_gradients(1);
        model.store.parameters()[2].gradient.window(14, {1}).fill(bad);  // the last element
        CHECK(first_non_finite(model.store) == "small");
        optimizer.step();
        CHECK(optimizer.non_finite() == Optimizer::gradient);
        model.draw_gradients(2);
        optimizer.step();  // finite again, but the flag stays set
        CHECK(optimizer.non_finite() == Optimizer::gradient);
        CHECK(model.values() == values);
        CHECK(model.store.flat_low().to_vector<double>() == low);
        std::size_t i = 0;
        for (const auto& [name, tensor] : optimizer.state()) CHECK(tensor.to_vector<double>() == state[i++]);

        optimizer.clear_non_finite();
        optimizer.step();
        CHECK(model.values() != values);
      }
}

TEST_CASE("optimizer: gradients that are nowhere finite raise the flag together" * test::also_on_gpu) {
  for (const Device device : every_device()) {
    Model model(device, DType::bf16);
    Optimizer optimizer(model.store, every_optimizer[0]);
    optimizer.set_learning_rate(0.1);
    model.draw_gradients(0);
    for (const auto& parameter : model.store.parameters()) Tensor(parameter.gradient).fill(not_a_number);
    optimizer.step();
    CHECK(optimizer.non_finite() == Optimizer::gradient);
  }
}

TEST_CASE("optimizer: a loss that is not finite stops the update" * test::also_on_gpu) {
  for (const Device device : every_device()) {
    Model model(device);
    Optimizer optimizer(model.store, SgdOptions{});
    optimizer.set_learning_rate(0.1);
    model.draw_gradients(0);
    const Doubles before = model.values();
    optimizer.watch_loss(Tensor::full({}, 3.5, DType::f32, device));
    CHECK(optimizer.non_finite() == Optimizer::none);
    optimizer.watch_loss(Tensor::full({}, not_a_number, DType::f32, device));
    optimizer.step();
    CHECK(optimizer.non_finite() == Optimizer::loss);
    CHECK(model.values() == before);
  }
}

TEST_CASE("optimizer: values and state brought back continue to the bit" * test::also_on_gpu) {
  for (const Device device : every_device())
    for (const OptimizerOptions& options : every_optimizer) {
      Model model(device), resumed(device);
      Optimizer optimizer(model.store, options), other(resumed.store, options);
      optimizer.set_learning_rate(0.1);
      other.set_learning_rate(0.1);
      for (std::uint32_t step = 0; step < 3; ++step) {
        model.draw_gradients(step);
        optimizer.step();
      }
      Tensor(resumed.store.flat_values()).copy_from(model.store.flat_values());
      const auto from = optimizer.state();
      auto to = other.state();
      REQUIRE(from.size() == to.size());
      for (std::size_t i = 0; i < from.size(); ++i) {
        CHECK(from[i].first == to[i].first);
        to[i].second.copy_from(from[i].second);
      }
      model.draw_gradients(3);
      optimizer.step();
      resumed.draw_gradients(3);
      other.step();
      CHECK(model.values() == resumed.values());
    }
}

TEST_CASE("optimizer: state is named by parameter and has its shape") {
  Model model(Device::cpu);
  const auto names = [&](const OptimizerOptions& options) {
    std::string text;
    for (const auto& [name, tensor] : Optimizer(model.store, options).state())
      text += name + tensor.shape().to_string() + " ";
    return text;
  };
  CHECK(names(SgdOptions{.momentum = 0}) == "");
  CHECK(names(LarsOptions{}) ==
        "optimizer.momentum.large[7, 6007] optimizer.momentum.scale[13] optimizer.momentum.small[5, 3] "
        "optimizer.momentum.bias[5] ");
  CHECK(names(RmsPropOptions{}).ends_with("optimizer.mean_square.small[5, 3] optimizer.mean_square.bias[5] "));
  CHECK(names(AdamWOptions{}).starts_with("optimizer.momentum.large[7, 6007] "));
  CHECK(names(AdamWOptions{}).ends_with("optimizer.mean_square.bias[5] optimizer.steps[1] "));
}

TEST_CASE("optimizer: runs on the plan device") {
  Model model(Device::plan, DType::bf16);
  for (const OptimizerOptions& options : every_optimizer) {
    Optimizer optimizer(model.store, options);
    optimizer.set_learning_rate(0.1);
    optimizer.watch_loss(Tensor::empty({}, DType::f32, Device::plan));
    optimizer.step();
    CHECK(optimizer.non_finite() == Optimizer::none);
  }
}

TEST_CASE("optimizer: options outside their range are refused") {
  Model model(Device::cpu);
  const OptimizerOptions bad[] = {SgdOptions{.momentum = 1},
                                  SgdOptions{.momentum = not_a_number},
                                  SgdOptions{.weight_decay = -1},
                                  SgdOptions{.momentum = 0, .nesterov = true},
                                  LarsOptions{.eta = 0},
                                  LarsOptions{.weight_decay = infinity},
                                  RmsPropOptions{.rho = 1.5},
                                  RmsPropOptions{.eps = 0},
                                  RmsPropOptions{.initial_mean_square = -1},
                                  AdamWOptions{.beta1 = 1},
                                  AdamWOptions{.beta2 = 1},
                                  AdamWOptions{.beta2 = not_a_number},
                                  AdamWOptions{.eps = 0},
                                  AdamWOptions{.weight_decay = -0.01}};
  for (const OptimizerOptions& options : bad) CHECK_THROWS_AS(Optimizer(model.store, options), Error);
  Optimizer optimizer(model.store, SgdOptions{});
  CHECK_THROWS_AS(optimizer.set_learning_rate(-0.1), Error);
  CHECK_THROWS_AS(optimizer.set_learning_rate(not_a_number), Error);
  ParameterStore unallocated;
  CHECK_THROWS_AS(Optimizer(unallocated, SgdOptions{}), Error);
}

// Computed by hand, with beta 1 = 1/2 and beta 2 = 3/4. Step 1, gradient 1/2: both corrected means are those of the
// gradient, so the value moves by lr times its sign; the decay takes lr * 1/2 of it. Step 2, gradient -1/2: the mean is
// 1/2 * 1/4 - 1/4 = -1/8, corrected by 3/4 to -1/6; the mean square is 1/4. With epsilon = 1/2 a step is
// 1/2 / (1/2 + 1/2) of lr.
TEST_CASE("optimizer: two steps of AdamW by hand" * test::also_on_gpu) {
  struct Steps {
    double eps, first, second;
  };
  for (const Steps& expected :
       {Steps{1e-12, 0.85, 0.85 * 0.95 + 0.1 / 3}, Steps{0.5, 0.9, 0.9 * 0.95 + 0.1 / 6}})
    for (const Device device : every_device()) {
      CAPTURE(name(device));
      ParameterStore store;
      store.add("weight", {1, 1}, ParameterKind::weight, constant_init(1));
      store.allocate(device, 1);
      Parameter& parameter = store.parameters()[0];
      Optimizer optimizer(store,
                          AdamWOptions{.beta1 = 0.5, .beta2 = 0.75, .eps = expected.eps, .weight_decay = 0.5});
      optimizer.set_learning_rate(0.1);
      parameter.gradient.fill(0.5);
      optimizer.step();
      CHECK(parameter.value.to_vector<double>()[0] == doctest::Approx(expected.first).epsilon(1e-6));
      // A step without an update does not count.
      parameter.gradient.fill(not_a_number);
      optimizer.step();
      optimizer.clear_non_finite();
      parameter.gradient.fill(-0.5);
      optimizer.step();
      CHECK(parameter.value.to_vector<double>()[0] == doctest::Approx(expected.second).epsilon(1e-6));
      CHECK(optimizer.state().back().second.to_vector<std::int32_t>() == std::vector<std::int32_t>{2});
    }
}

// More chunks than a warp has lanes, and gradients that grow along the parameter: a chunk that is left out or
// taken twice changes the ratio of the norms.
TEST_CASE("optimizer: the rate of LARS takes in every chunk of a parameter" * test::also_on_gpu) {
  for (const Device device : every_device()) {
    CAPTURE(name(device));
    ParameterStore store;
    store.add("short", {3, 5}, ParameterKind::weight, constant_init(1));
    store.add("long", {8, 40 * chunk_elements / 8 + 5}, ParameterKind::weight, normal_init(1));
    store.allocate(device, 3);
    Parameter& parameter = store.parameters()[1];
    const Doubles w = parameter.value.to_vector<double>();
    Doubles g = w;
    double w_squared = 0, g_squared = 0;
    for (std::size_t i = 0; i < g.size(); ++i) {
      g[i] *= 1 + 2 * static_cast<double>(i) / static_cast<double>(g.size());
      w_squared += w[i] * w[i];
      g_squared += g[i] * g[i];
    }
    parameter.gradient.copy_from(Tensor::from(g, parameter.shape, Device::reference));
    Optimizer optimizer(store, LarsOptions{.momentum = 0, .eta = 0.5});
    optimizer.set_learning_rate(0.1);
    optimizer.step();
    const double rate = 0.1 * 0.5 * std::sqrt(w_squared / g_squared), updated = w[0] - rate * g[0];
    CHECK(parameter.value.to_vector<double>()[0] == doctest::Approx(updated).epsilon(1e-6));
  }
}

}  // namespace
}  // namespace kindred
