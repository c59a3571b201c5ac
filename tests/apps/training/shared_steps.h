// Training steps of several processes, which are threads, and of one with the same batch.
#pragma once

#include "../../engine/communicator/threads.h"
#include "small_options.h"

#include <kindred/apps/training/learner.h>
#include <kindred/layers/concatenate/concatenate.h>

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

namespace kindred::shared_steps {

using Doubles = std::vector<double>;

constexpr int classes = 3;
constexpr std::int64_t batch = 8;

// Everything in f64, on the plain loops: so only an error, and not rounding, makes a difference that is seen.
inline PretrainOptions exact_options() {
  PretrainOptions o = small_options(4, batch);
  o.precision.compute = DType::f64;
  o.momentum = 0.9;
  o.weight_decay = 1e-3;
  o.beta2 = 0.99;
  o.rmsprop_rho = 0.9;
  o.rmsprop_eps = 0.1;
  o.lr = 0.02;
  return o;
}

// The images of a whole batch, one tensor for each size of views, view-major.
inline std::vector<Tensor> images_of_batch(const PretrainOptions& o, std::uint32_t step, Device device) {
  std::vector<Tensor> groups;
  for (const auto& [size, count] : view_sizes(o.view_groups)) {
    const Shape shape{count * o.batch_size, size, size, 3};
    Doubles values(static_cast<std::size_t>(shape.numel()));
    RandomStream random(94, Purpose::test, step, static_cast<std::uint32_t>(groups.size()));
    for (double& value : values) value = random.normal();
    groups.push_back(Tensor::from(values, shape, Device::reference).to(device, o.precision.compute));
  }
  return groups;
}

// The rows of process `rank`: of every view its images.
inline Tensor share_of(const Tensor& all, std::int64_t views, int rank, int size) {
  const std::int64_t images = all.dim(0) / views, own = images / size;
  Tensor share;
  for (std::int64_t view = 0; view < views; ++view) {
    const std::int64_t first = view * images + rank * own;
    const Tensor part = all.rows(first, first + own);
    share = share.defined() ? concatenate(share, part) : part;
  }
  return share;
}

// The inputs of a process in a step. Of 8 images, each class has 2 or 3.
inline StepInputs inputs_of(const PretrainOptions& o, std::uint32_t step, Device device, int rank, int size) {
  StepInputs inputs;
  const auto sizes = view_sizes(o.view_groups);
  const std::vector<Tensor> all = images_of_batch(o, step, device);
  for (std::size_t group = 0; group < all.size(); ++group)
    inputs.images.push_back(share_of(all[group], sizes[group].count, rank, size));
  std::vector<std::int32_t> labels;
  std::vector<std::int64_t> indices;
  const std::int64_t own = o.batch_size / size;
  for (std::int64_t image = rank * own; image < (rank + 1) * own; ++image) {
    labels.push_back(static_cast<std::int32_t>((image * image + image / 3 + step) % classes));
    indices.push_back(10 * step + image);
  }
  const std::vector<std::int32_t> both = view_labels(o, labels, indices);
  inputs.labels = Tensor::from(both, {2, static_cast<std::int64_t>(both.size()) / 2}, device);
  return inputs;
}

// What is compared.
struct Trained {
  Doubles losses;             // of the steps, then those of the online probe
  Doubles gradients;          // of the first step
  Doubles running, features;  // after it: running statistics, and the features that it compared
  std::vector<std::int32_t> positives;
  Doubles values,
      states;  // after the last step: the weights, and everything that a checkpoint holds beside them

  bool operator==(const Trained&) const = default;
};

inline Doubles running_statistics(const Learner& learner) {
  Doubles all;
  for (const Buffer& buffer : learner.model().store.buffers())
    for (const double value : buffer.value.to_vector<double>()) all.push_back(value);
  return all;
}

inline Doubles states_of(const Learner& learner) {
  Doubles all = running_statistics(learner);
  for (const auto& [name, tensor] : learner.state())
    for (const double value : tensor.to_vector<double>()) all.push_back(value);
  return all;
}

// `rank` says whose images a process takes; its own, except for planted errors.
inline Trained train(const PretrainOptions& o, Device device, const Communicator& processes,
                     std::uint32_t steps, int rank) {
  Learner learner(o, device, classes, processes);
  RandomStream delay(95, Purpose::test, static_cast<std::uint32_t>(processes.rank()));
  Trained outcome;
  Doubles of_probe;
  for (std::uint32_t step = 0; step < steps; ++step) {
    // Processes are never equally fast.
    if (!processes.is_alone()) std::this_thread::sleep_for(std::chrono::microseconds(delay.below(2000)));
    learner.set_learning_rate(0.02);
    const StepOutputs outputs = learner.step(inputs_of(o, step, device, rank, processes.size()));
    outcome.losses.push_back(outputs.loss.to_vector<double>()[0]);
    if (outputs.probe_loss.defined()) of_probe.push_back(outputs.probe_loss.to_vector<double>()[0]);
    if (step > 0) continue;
    outcome.gradients = learner.model().store.flat_gradients().to_vector<double>();
    outcome.running = running_statistics(learner);
    outcome.features = outputs.features.to_vector<double>();
    if (outputs.positives.defined()) outcome.positives = outputs.positives.to_vector<std::int32_t>();
  }
  outcome.losses.insert(outcome.losses.end(), of_probe.begin(), of_probe.end());
  outcome.values = learner.model().store.flat_values().to_vector<double>();
  outcome.states = states_of(learner);
  return outcome;
}

inline Trained of_one(const PretrainOptions& o, Device device, std::uint32_t steps) {
  const Communicator alone;
  return train(o, device, alone, steps, 0);
}

// Of all processes, which must agree to the bit.
inline Trained of_several(int size, const PretrainOptions& o, Device device, std::uint32_t steps) {
  std::vector<Trained> outcomes(static_cast<std::size_t>(size));
  run_processes(size, [&](const Communicator& processes) {
    outcomes[static_cast<std::size_t>(processes.rank())] = train(o, device, processes, steps, processes.rank());
  });
  for (const Trained& outcome : outcomes) CHECK(outcome == outcomes[0]);
  return outcomes[0];
}

}  // namespace kindred::shared_steps
