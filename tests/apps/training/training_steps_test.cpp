// Steps that are recorded once and replayed, against the same steps run one by one. On a GPU or its emulation.
#include "../../gpu.h"
#include "small_options.h"

#include <kindred/apps/training/dry_run/memory_check.h>
#include <kindred/apps/training/dry_run/memory_prediction.h>
#include <kindred/apps/training/training_steps.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/memory.h>
#include <kindred/engine/recording.h>
#include <kindred/layers/image_input/image_input.h>

#include <doctest/doctest.h>

#include <cmath>

namespace kindred {
namespace {

PretrainOptions tiny_options(Precision precision) {
  PretrainOptions o = small_options(8, 3);
  o.momentum = 0.9;
  o.weight_decay = 1e-4;
  o.precision = precision;
  return o;
}

std::vector<std::uint8_t> pictures(std::uint32_t step) {
  std::vector<std::uint8_t> bytes(6 * 8 * 8 * 3);
  RandomStream random(61, Purpose::test, step);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.below(256));
  return bytes;
}

const std::vector<std::int32_t> labels = {0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0};  // of the loss, and classes

struct TrainedLearner : Learner {
  TrainedLearner(const PretrainOptions& o, Device on) : Learner(o, on, 2), options(o), device(on) {}

  std::vector<float> values() const {
    std::vector<float> all = model().store.flat_values().to_vector<float>();
    for (const auto& [name, tensor] : state())
      for (const float value : tensor.to_vector<float>()) all.push_back(value);
    return all;
  }
  StepOutputs step_on(std::uint32_t number) {
    const Tensor bytes = Tensor::from(pictures(number), {6, 8, 8, 3}, device);
    return step({{normalize_images(bytes, options.pixel_statistics(), options.precision.compute)},
                 Tensor::from(labels, {2, 6}, device)});
  }

  PretrainOptions options;
  Device device;
};

TEST_CASE("steps on cuda: recorded ones equal single ones to the bit" * test::needs_gpu) {
  const test::DeterministicPlans rule;
  std::vector<PretrainOptions> cases = {tiny_options({}), tiny_options({DType::f16}), tiny_options({}),
                                        tiny_options({}), tiny_options({})};
  cases[2].momentum_encoder = 0.9;
  cases[2].queue = 7;
  cases[2].online_probe = true;
  cases[3].micro_batch = 1;
  cases[3].batch_norm_scope = BatchNormScope::micro;
  cases[4].micro_batch = 1;
  cases[4].batch_norm_scope = BatchNormScope::full;
  cases[4].queue = 9;
  for (const PretrainOptions& o : cases) {
    TrainedLearner plain(o, Device::cuda), recorded(o, Device::cuda);
    const auto steps = make_training_steps(o, Device::cuda, recorded);
    std::vector<double> expected, losses;
    const auto keep = [&](const std::vector<StepResult>& results) {
      for (const StepResult& result : results) {
        CHECK(result.step == static_cast<std::int64_t>(losses.size()));
        CHECK(result.non_finite == Optimizer::none);
        losses.push_back(result.loss);
      }
    };
    for (std::uint32_t step = 0; step < 4; ++step) {  // one at once, both slots recorded, one replayed
      const double learning_rate = 0.05 * (step + 1);
      plain.set_learning_rate(learning_rate);
      expected.push_back(plain.step_on(step).loss.to_vector<double>()[0]);
      keep(steps->run(pictures(step), labels, learning_rate));
      // Memory that is requested meanwhile is not the recording's.
      Tensor::full({1 << 16}, std::nan(""), DType::f32, Device::cuda);
      if (step == 2) keep(steps->finish());  // the end of an epoch
    }
    keep(steps->finish());
    CHECK(steps->finish().empty());
    CHECK(losses == expected);
    CHECK(recorded.values() == plain.values());
  }
}

TEST_CASE("steps on cuda: several in a launch equal single ones to the bit" * test::needs_gpu) {
  const test::DeterministicPlans rule;
  PretrainOptions o = tiny_options({});
  o.online_probe = true;
  o.steps_a_launch = 2;
  TrainedLearner plain(o, Device::cuda), recorded(o, Device::cuda);
  const auto steps = make_training_steps(o, Device::cuda, recorded);
  std::vector<double> expected, losses, features;
  const auto keep = [&](const std::vector<StepResult>& results) {
    for (const StepResult& result : results) {
      CHECK(result.step == static_cast<std::int64_t>(losses.size()));
      losses.push_back(result.loss);
      // The inputs of the step are still there.
      const StepInputs inputs = steps->inputs_of(result.step);
      const Tensor bytes =
          Tensor::from(pictures(static_cast<std::uint32_t>(result.step)), {6, 8, 8, 3}, Device::cuda);
      CHECK(inputs.images[0].to_vector<float>() ==
            normalize_images(bytes, o.pixel_statistics(), o.precision.compute).to_vector<float>());
    }
  };
  // Launches of 2 (at once), 2 and 2 (recorded), 1 at the end of the epoch, then 2 and 2 (replayed).
  for (std::uint32_t step = 0; step < 11; ++step) {
    const double learning_rate = 0.02 * (step + 1);
    plain.set_learning_rate(learning_rate);
    const StepOutputs outputs = plain.step_on(step);
    expected.push_back(outputs.loss.to_vector<double>()[0]);
    const std::vector<StepResult> results = steps->run(pictures(step), labels, learning_rate);
    CHECK(results.size() == (step == 3 || step == 5 || step == 10 ? 2 : 0));
    keep(results);
    if (step != 6 && step != 10) continue;
    const std::vector<StepResult> rest = steps->finish();
    CHECK(rest.size() == (step == 6 ? 3 : 2));
    keep(rest);
    CHECK(steps->outputs().features.to_vector<float>() == outputs.features.to_vector<float>());
    CHECK(steps->outputs().positives.to_vector<std::int32_t>() == std::vector<std::int32_t>{3, 1, 3, 3, 1, 3});
  }
  CHECK(losses == expected);
  CHECK(recorded.values() == plain.values());
}

TEST_CASE("steps on cuda: a loss that is not finite stops the updates" * test::needs_gpu) {
  const PretrainOptions o = tiny_options({});
  TrainedLearner trained(o, Device::cuda);
  const auto steps = make_training_steps(o, Device::cuda, trained);
  steps->run(pictures(0), labels, 0.1);
  steps->run(pictures(1), labels, 0.1);
  steps->finish();
  const Tensor weight = trained.model().store.find("layer1.0.conv1.weight").value;
  weight.window(0, {1}).copy_from(Tensor::full({1}, std::nan(""), DType::f32, Device::cuda));
  const std::vector<float> before = trained.values();
  steps->run(pictures(2), labels, 0.1);
  const auto spoilt = steps->finish();
  REQUIRE(spoilt.size() == 1);
  CHECK(spoilt[0].step == 2);
  CHECK((spoilt[0].non_finite & Optimizer::loss) != 0);
  const std::vector<float> after = trained.values();
  bool same = true;
  for (std::size_t i = 0; i < before.size(); ++i) same &= before[i] == after[i] || std::isnan(before[i]);
  CHECK(same);
}

TEST_CASE("recordings on cuda: the host can take no part, and an error leaves the device usable" *
          test::needs_gpu) {
  const Tensor x = Tensor::full({100}, 1, DType::f32, Device::cuda);
  const auto pool = new_memory_pool(Device::cuda);
  CHECK_THROWS(Recording(pool, [&] { x.to_vector<float>(); }));
  Tensor y = Tensor::zeros({100}, DType::f32, Device::cuda);
  const Recording copy(pool, [&] { y.copy_from(x); });
  CHECK(y.to_vector<float>()[7] == 0);  // recorded, not run
  copy.replay();
  CHECK(y.to_vector<float>()[7] == 1);
  Tensor(x).fill(3);
  copy.replay();
  CHECK(y.to_vector<float>()[7] == 3);
}

TEST_CASE("memory prediction: what is predicted for cuda is what a step takes there" * test::needs_gpu) {
  for (const Precision precision : {Precision{}, Precision{DType::bf16}}) {
    const PretrainOptions o = tiny_options(precision);
    const MemoryPrediction memory = predict_memory(o, Device::cuda);
    const PoolScope scope(Device::cuda, new_memory_pool(Device::cuda));
    TrainedLearner trained(o, Device::cuda);
    const std::size_t parameters = scope.pool()->statistics().in_use;
    CHECK(parameters == memory.parameter_bytes);
    for (std::uint32_t step = 0; step < 2; ++step) trained.step_on(step);
    // The prediction leaves room for a convolution's workspace, which the emulation does not need.
    const double workspace = 16 << 20, peak = static_cast<double>(scope.pool()->statistics().peak_in_use);
    CHECK(static_cast<double>(memory.step_peak) < 1.1 * peak + workspace);
    CHECK(static_cast<double>(memory.step_peak) > 0.9 * peak);
  }
}

TEST_CASE("memory prediction: the largest batch fits and a larger one does not") {
  const PretrainOptions o = tiny_options({});
  for (const Device device : {Device::cpu, Device::cuda}) {
    const std::size_t bytes = std::size_t{300} << 20;
    const std::int64_t batch = largest_batch(o, device, bytes);
    CHECK(batch >= 8);
    CHECK(batch % 8 == 0);
    PretrainOptions fitting = o;
    fitting.batch_size = batch;
    const MemoryPrediction memory = predict_memory(fitting, device);
    CHECK(memory.pool_peak + memory.input_bytes <= bytes);
    fitting.batch_size = batch + batch / 8;
    const MemoryPrediction larger = predict_memory(fitting, device);
    CHECK(larger.pool_peak + larger.input_bytes > bytes);
    CHECK(largest_batch(o, device, 1000) == 0);
  }
  CHECK(predict_memory(o, Device::cuda).input_bytes > 0);
}

TEST_CASE("steps on the cpu give their own result at once") {
  const PretrainOptions o = tiny_options({});
  TrainedLearner trained(o, Device::cpu);
  const auto steps = make_training_steps(o, Device::cpu, trained);
  const auto result = steps->run(pictures(0), labels, 0.1);
  REQUIRE(result.size() == 1);
  CHECK(result[0].step == 0);
  CHECK(std::isfinite(result[0].loss));
  CHECK(steps->finish().empty());
}

}  // namespace
}  // namespace kindred
