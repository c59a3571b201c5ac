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

// Adds up what the tape keeps. A tensor that several entries keep counts once, for the first of them.
void add_activations(const Tape& tape, const ParameterStore& store, MemoryPrediction& memory) {
  std::set<const void*> seen = {store.flat_values().storage_key(), store.flat_low().storage_key()};
  for (const Tape::Entry& entry : tape.entries()) {
    LayerMemory& layer =
        layer_called(memory.layers, entry.label.empty() ? entry.operation->name() : entry.label);
    layer.output = entry.outputs.front().shape;
    for (const Tensor& saved : entry.saved) {
      if (!saved.defined() || !seen.insert(saved.storage_key()).second) continue;
      layer.activations += saved.storage_bytes();
      memory.activation_bytes += saved.storage_bytes();
    }
  }
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
  learner.trace(steps.inputs(), [&](const Tape& tape, std::int64_t first, std::int64_t) {
    if (first == 0) add_activations(tape, store, memory);  // for the first micro-batch, and for the loss
  });
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
  line("activations kept for the backward pass", memory.activation_bytes);
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
