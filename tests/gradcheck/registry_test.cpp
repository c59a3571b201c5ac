#include "../gpu.h"
#include "gradcheck.h"

#include <kindred/engine/kernels/accumulate.h>
#include <kindred/engine/memory.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

namespace kindred::gradcheck {
namespace {

struct Point {
  std::vector<std::vector<double>> inputs;
  std::vector<double> cotangent;
};

struct Outcome {
  std::vector<double> result;
  std::vector<std::vector<double>> gradients;  // empty for constants
};

std::vector<double> random_values(std::size_t count, RandomStream& random) {
  std::vector<double> values(count);
  for (double& value : values) value = random.uniform(-1, 1);
  return values;
}

Point random_point(const Case& test_case, std::uint32_t trial) {
  Point point;
  for (std::size_t i = 0; i < test_case.inputs.size(); ++i) {
    RandomStream random(17, Purpose::test, trial, static_cast<std::uint32_t>(i));
    point.inputs.emplace_back(static_cast<std::size_t>(test_case.inputs[i].shape.numel()));
    test_case.inputs[i].fill(point.inputs.back(), random);
  }
  return point;
}

void round_to(std::vector<double>& values, DType dtype) {
  for (double& value : values) {
    if (dtype == DType::f32) value = static_cast<float>(value);
    if (dtype == DType::bf16) value = BFloat16(static_cast<float>(value));
    if (dtype == DType::f16) value = Float16(static_cast<float>(value));
  }
}

struct Prepared {
  std::vector<Tensor> used;    // the arguments of the function
  std::vector<Tensor> leaves;  // the tensors that gradients belong to: the masters
};

// `compute` is the type of activations and weights; f64 makes everything f64.
Prepared prepare(const Case& test_case, const Point& point, Device device, DType compute) {
  const DType master = compute == DType::f64 ? DType::f64 : DType::f32;
  Prepared prepared;
  for (std::size_t i = 0; i < test_case.inputs.size(); ++i) {
    const Input& input = test_case.inputs[i];
    const Tensor exact = Tensor::from(point.inputs[i], input.shape, device);
    const bool is_low = input.role != Role::master;
    Tensor leaf = exact.to(device, input.role == Role::weight || !is_low ? master : compute);
    leaf.set_requires_grad(input.role != Role::constant);
    Tensor used = leaf;
    if (is_low && leaf.dtype() != compute) {
      used = leaf.to(device, compute);
      used.stand_for(leaf);
    }
    prepared.used.push_back(used);
    prepared.leaves.push_back(leaf);
  }
  return prepared;
}

Outcome run(const Case& test_case, Point& point, Device device, DType compute) {
  const Prepared prepared = prepare(test_case, point, device, compute);
  Tape tape;
  const Tensor result = test_case.function(prepared.used);
  // The case must exercise the operation that it claims to cover.
  CHECK(std::any_of(tape.entries().begin(), tape.entries().end(),
                    [&](const Tape::Entry& entry) { return entry.operation->name() == test_case.operation; }));
  if (point.cotangent.empty()) {
    RandomStream random(18, Purpose::test);
    point.cotangent = random_values(static_cast<std::size_t>(result.numel()), random);
    round_to(point.cotangent, compute == DType::f64 ? DType::f64 : result.dtype());
  }
  const Tensor cotangent = Tensor::from(point.cotangent, result.shape(), device).to(device, result.dtype());
  tape.backward(result, cotangent);
  Outcome outcome{result.to_vector<double>(), {}};
  for (std::size_t i = 0; i < prepared.leaves.size(); ++i) {
    const Tensor gradient = tape.gradient(prepared.leaves[i]);
    const bool wanted = test_case.inputs[i].role != Role::constant;
    REQUIRE(gradient.defined() == wanted);
    outcome.gradients.push_back(wanted ? gradient.to_vector<double>() : std::vector<double>());
  }
  return outcome;
}

// sum(cotangent * f(inputs)) without a tape.
double projected(const Case& test_case, const Point& point) {
  const NoGrad no_grad;
  const auto result =
      test_case.function(prepare(test_case, point, Device::reference, DType::f64).used).to_vector<double>();
  double sum = 0;
  for (std::size_t i = 0; i < result.size(); ++i) sum += result[i] * point.cotangent[i];
  return sum;
}

std::vector<double> central_difference(const Case& test_case, Point point, std::size_t input) {
  constexpr double step = 1e-5;  // error of the difference: about step^2, plus 1e-16 / step from rounding
  std::vector<double> gradient;
  for (double& value : point.inputs[input]) {
    const double at = value;
    value = at + step;
    const double above = projected(test_case, point);
    value = at - step;
    const double below = projected(test_case, point);
    value = at;
    gradient.push_back((above - below) / (2 * step));
  }
  return gradient;
}

double norm(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum);
}

// Uses the function twice on the same inputs: gradients must double.
void check_fan_out(const Case& test_case, const Point& point, const Outcome& once) {
  const Prepared prepared = prepare(test_case, point, Device::reference, DType::f64);
  Tape tape;
  const Tensor first = test_case.function(prepared.used);
  const Tensor second = test_case.function(prepared.used);
  const Tensor cotangent = Tensor::from(point.cotangent, first.shape(), Device::reference);
  static const Operation join("join (test)");
  Tensor both = Tensor::empty_like(first);
  add(first, second, Output(both));
  tape.record(join, {&first, &second}, {&both}, {}, [](BackwardStep& step) {
    step.pass_gradient(0, step.output_gradient());
    step.pass_gradient(1, step.output_gradient());
  });
  tape.backward(both, cotangent);
  for (std::size_t i = 0; i < once.gradients.size(); ++i) {
    if (once.gradients[i].empty()) continue;
    std::vector<double> doubled = once.gradients[i];
    for (double& value : doubled) value *= 2;
    CHECK(relative_difference(tape.gradient(prepared.leaves[i]).to_vector<double>(), doubled) < 1e-12);
  }
}

// Writes into gradient buffers that are not empty: the content must be added to or overwritten, as requested.
void check_buffers(const Case& test_case, const Point& point, const Outcome& once, bool accumulate) {
  const Prepared prepared = prepare(test_case, point, Device::reference, DType::f64);
  Tape tape;
  std::vector<Tensor> buffers;
  for (const Tensor& leaf : prepared.leaves) {
    buffers.push_back(Tensor::full(leaf.shape(), 0.5, DType::f64, Device::reference));
    if (leaf.requires_grad()) tape.set_gradient_buffer(leaf, buffers.back(), accumulate);
  }
  const Tensor result = test_case.function(prepared.used);
  tape.backward(result, Tensor::from(point.cotangent, result.shape(), Device::reference));
  for (std::size_t i = 0; i < once.gradients.size(); ++i) {
    if (once.gradients[i].empty()) continue;
    std::vector<double> expected = once.gradients[i];
    for (double& value : expected) value += accumulate ? 0.5 : 0.0;
    CHECK(relative_difference(buffers[i].to_vector<double>(), expected) < 1e-12);
  }
}

struct PoisonedMemory {
  explicit PoisonedMemory(Device device) : pool(memory_pool(device)) { pool.set_poison(true); }
  ~PoisonedMemory() { pool.set_poison(false); }
  MemoryPool& pool;
};

void check_ladder(const Case& test_case, Device device, DType compute, double tolerance) {
  const PoisonedMemory poisoned(device);
  Point point = random_point(test_case, 2);
  for (std::size_t i = 0; i < point.inputs.size(); ++i)
    round_to(point.inputs[i], test_case.inputs[i].role == Role::master ? DType::f32 : compute);
  const Outcome fast = run(test_case, point, device, compute);
  const Outcome plain = run(test_case, point, Device::reference, DType::f64);
  CHECK(relative_difference(fast.result, plain.result) < tolerance);
  for (std::size_t i = 0; i < plain.gradients.size(); ++i) {
    CAPTURE(i);
    if (!plain.gradients[i].empty())
      CHECK(relative_difference(fast.gradients[i], plain.gradients[i]) < tolerance);
  }
}

TEST_CASE("every differentiable operation has a gradient case") {
  for (const Operation* operation : Operation::all()) {
    const std::string name = operation->name();
    if (name.ends_with("(test)")) continue;
    CAPTURE(name);
    CHECK(std::any_of(all_cases().begin(), all_cases().end(),
                      [&](const Case& c) { return c.operation == name && c.central_differences; }));
  }
  CHECK(Operation::all().size() >= 2);
}

TEST_CASE("gradients agree with central differences") {
  for (const Case& test_case : all_cases()) {
    if (!test_case.central_differences) continue;
    SUBCASE((test_case.operation + ": " + test_case.variant).c_str()) {
      const PoisonedMemory poisoned(Device::reference);
      Point point = random_point(test_case, 1);
      const Outcome outcome = run(test_case, point, Device::reference, DType::f64);
      for (std::size_t i = 0; i < outcome.gradients.size(); ++i) {
        if (outcome.gradients[i].empty()) continue;
        CAPTURE(i);
        CHECK(norm(outcome.gradients[i]) > 1e-3);  // a check on zeros proves nothing
        CHECK(relative_difference(outcome.gradients[i], central_difference(test_case, point, i)) < 1e-6);
      }
      check_fan_out(test_case, point, outcome);
      check_buffers(test_case, point, outcome, true);
      check_buffers(test_case, point, outcome, false);
    }
  }
}

void check_ladder_of_all(Device device, DType compute) {
  for (const Case& test_case : all_cases()) {
    if (compute != DType::f32 && !test_case.bf16) continue;
    SUBCASE((test_case.operation + ": " + test_case.variant).c_str())
    check_ladder(test_case, device, compute,
                 compute == DType::f32 ? test_case.f32_tolerance : test_case.bf16_tolerance);
  }
}

TEST_CASE("cpu agrees with reference in f32") {
  check_ladder_of_all(Device::cpu, DType::f32);
}
TEST_CASE("cpu agrees with reference in bf16") {
  check_ladder_of_all(Device::cpu, DType::bf16);
}

// On a GPU, or on one that is emulated (CMake preset `emulated`).
TEST_CASE("cuda agrees with reference in f32" * test::needs_gpu) {
  check_ladder_of_all(Device::cuda, DType::f32);
}
TEST_CASE("cuda agrees with reference in bf16" * test::needs_gpu) {
  check_ladder_of_all(Device::cuda, DType::bf16);
}
TEST_CASE("cuda agrees with reference in f16" * test::needs_gpu) {
  check_ladder_of_all(Device::cuda, DType::f16);
}

}  // namespace
}  // namespace kindred::gradcheck
