#include <kindred/apps/console/progress.h>
#include <kindred/apps/training/dry_run/memory_prediction.h>
#include <kindred/apps/training/dry_run/planned_steps.h>
#include <kindred/apps/training/training_steps.h>
#include <kindred/engine/memory.h>

#include <algorithm>
#include <set>

namespace kindred {
namespace {

LayerMemory& layer_called(std::vector<LayerMemory>& layers, const std::string& name) {
  const auto found =
      std::find_if(layers.begin(), layers.end(), [&](const LayerMemory& l) { return l.name == name; });
  if (found != layers.end()) return *found;
  return layers.emplace_back(LayerMemory{.name = name});
}

using Storages = std::set<const void*>;

Storages storages_of(const ParameterStore& store) {
  return {store.flat_values().storage_key(), store.flat_low().storage_key()};
}

// Bytes that an entry keeps in storages that were not seen before: a tensor that several entries keep counts once, for the
// first of them.
std::size_t bytes_kept(const Tape::Entry& entry, Storages& seen) {
  std::size_t bytes = 0;
  for (const Tensor& saved : entry.saved)
    if (saved.defined() && seen.insert(saved.storage_key()).second) bytes += saved.storage_bytes();
  return bytes;
}

std::size_t bytes_kept(const Tape& tape, Storages seen) {
  std::size_t bytes = 0;
  for (const Tape::Entry& entry : tape.entries()) bytes += bytes_kept(entry, seen);
  return bytes;
}

// `is_first`: of the size of views whose outputs are shown.
void add_rows(const Tape& tape, Storages seen, bool is_first, std::vector<LayerMemory>& layers) {
  for (const Tape::Entry& entry : tape.entries()) {
    LayerMemory& layer = layer_called(layers, entry.label.empty() ? entry.operation->name() : entry.label);
    if (is_first) layer.output = entry.outputs.front().shape;
    layer.activations += bytes_kept(entry, seen);
  }
}

// What MicroBatches holds of images [n, h, w, 3], in `count` micro-batches, for norms that see the whole batch.
struct HeldSegments {
  std::size_t inputs = 0;  // bytes of the inputs of all segments
  std::size_t most = 0;    // at once, while the backward pass goes through them
};

// Segments go back one after the other, from the last: each runs again for one micro-batch, while its inputs and those of the
// segments before it are there for all.
HeldSegments held_by_segments(const ContrastiveModel& model, const Tensor& images, std::int64_t count) {
  const std::size_t first = model.encoder.frozen_segments(), last = model.encoder.segments();
  HeldSegments held{.inputs = images.bytes()};
  Tensor x = images.rows(0, images.dim(0) / count);
  for (std::size_t segment = 0; segment <= last; ++segment) {
    if (segment > 0 && segment >= first) held.inputs += static_cast<std::size_t>(count) * x.bytes();
    Tensor y;
    {
      Storages seen = storages_of(model.store);
      seen.insert(x.storage_key());
      Tape tape;
      const Mode mode = Mode::train_with(0);
      y = segment < last ? model.encoder.segment(segment, x, mode) : model.project(x);
      if (segment >= first) held.most = std::max(held.most, held.inputs + bytes_kept(tape, seen));
    }
    x = y.reshape(y.shape());
    x.set_requires_grad(segment >= first);
  }
  return held;
}

// The same of all sizes of views, which go back one after the other, too: the first one first.
std::size_t held_by_segments(const PretrainOptions& o, const ContrastiveModel& model,
                             const std::vector<Tensor>& images) {
  const std::int64_t batch = local_batch(o), count = batch / o.micro_batch;
  std::size_t inputs_behind = 0, most = 0;
  for (std::size_t group = images.size(); group-- > 0;) {
    // With a momentum encoder only first views are learned from.
    const Tensor learned = o.momentum_encoder > 0 ? images[group].rows(0, batch) : images[group];
    const HeldSegments held = held_by_segments(model, learned, count);
    most = std::max(most, held.most + inputs_behind);
    inputs_behind += held.inputs;
  }
  return most;
}

}  // namespace

MemoryPrediction predict_memory(const PretrainOptions& options, Device device, int classes) {
  PlannedSteps steps(options, device, classes);
  MemoryPool& pool = steps.pool();
  Learner& learner = steps.learner();
  ParameterStore& store = learner.model().store;
  MemoryPrediction memory;
  memory.parameters = store.parameter_count();
  memory.parameter_bytes = pool.statistics().in_use;

  pool.reset_peak();
  steps.take_batch();
  // A GPU has two slots, each with as many batches as a launch has steps (input_feed.h). One of them is in the
  // pool here.
  if (device == Device::cuda && !options.skips_nonfinite()) {
    memory.input_bytes = steps.batch_bytes() * static_cast<std::size_t>(2 * steps_of_a_launch(options) - 1);
  }
  // Runs two steps: the second one starts with what the first one left, as every later one does.
  for (int step = 0; step < 2; ++step) learner.step(steps.inputs());
  memory.step_peak = pool.statistics().peak_in_use;
  memory.pool_peak = pool.statistics().peak_reserved;
  const bool has_micro_batches = options.micro_batch > 0;
  memory.by_segments = has_micro_batches && options.batch_norm_scope == BatchNormScope::full;
  const StepInputs inputs = steps.inputs();
  std::size_t of_all = 0, largest = 0;
  learner.trace(inputs, [&](const Tape& tape, std::int64_t first, std::int64_t) {
    const std::size_t kept = bytes_kept(tape, storages_of(store));
    of_all += kept;
    largest = std::max(largest, kept);
    // Of micro-batches the first one is shown, and the loss.
    if (first == 0 || !has_micro_batches) add_rows(tape, storages_of(store), first == 0, memory.layers);
  });
  // What one micro-batch keeps is gone when the next one runs.
  memory.activation_bytes = memory.by_segments  ? held_by_segments(options, learner.model(), inputs.images)
                            : has_micro_batches ? largest
                                                : of_all;
  for (const Parameter& parameter : store.parameters())
    layer_called(memory.layers, parameter.name.substr(0, parameter.name.rfind('.'))).parameters +=
        parameter.shape.numel();
  return memory;
}

std::string describe(const MemoryPrediction& memory, std::size_t other_bytes, Device device) {
  std::string text = fmt::format("{:28} {:>22} {:>14} {:>14}\n", "layer", "output", "parameters", "kept for");
  text += fmt::format("{:28} {:>22} {:>14} {:>14}\n", "", "", "", "backward");
  for (const LayerMemory& layer : memory.layers)
    text += fmt::format("{:28} {:>22} {:>14} {:>14}\n", layer.name, layer.output.to_string(), layer.parameters,
                        format_bytes(static_cast<double>(layer.activations)));
  return text + describe_totals(memory, other_bytes, device);
}

std::string describe_totals(const MemoryPrediction& memory, std::size_t other_bytes, Device device) {
  std::string text;
  const auto line = [&](const char* what, std::size_t bytes) {
    text += fmt::format("{:52} {:>14}\n", what, format_bytes(static_cast<double>(bytes)));
  };
  text += fmt::format("\nparameters: {}\n", memory.parameters);
  line("parameters, gradients and optimizer state", memory.parameter_bytes);
  line(memory.by_segments ? "activations kept at once: inputs, and one block's"
                          : "activations kept for the backward pass",
       memory.activation_bytes);
  line("peak of a training step, both included", memory.step_peak);
  if (device == Device::cuda) {
    line("batches on their way to the GPU", memory.input_bytes);
    if (memory.resident_bytes > 0) line("training images that stay on the GPU", memory.resident_bytes);
    line("predicted peak memory of the GPU", memory.on_gpu());
    text += "CUDA itself needs a few hundred megabytes more\n";
    return text;
  }
  line("program, libraries and image buffers", other_bytes);
  line("predicted peak memory of the process", memory.step_peak + other_bytes);
  return text;
}

}  // namespace kindred
