// The memory that a training step will need, computed without running it. The step runs on the `plan` device,
// where tensors have shapes and addresses but no memory.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/engine/tensor.h>

#include <string>
#include <vector>

namespace kindred {

struct LayerMemory {
  std::string name;             // "layer1.0.conv2"
  Shape output{};               // of the layer's last operation
  std::int64_t parameters = 0;  // elements
  std::size_t activations =
      0;  // bytes kept for the backward pass of a micro-batch that no earlier layer has counted
};

struct MemoryPrediction {
  std::vector<LayerMemory> layers;
  bool by_segments =
      false;  // activations of one block are kept at a time (BatchNormScope::full), not those of all layers
  std::int64_t parameters = 0;       // elements
  std::size_t parameter_bytes = 0;   // values, gradients, optimizer state, low-precision copies
  std::size_t activation_bytes = 0;  // the most that is kept for the backward pass at once
  std::size_t step_peak = 0;         // bytes in use at the peak of a step, including all of the above
  std::size_t pool_peak = 0;         // bytes that the pool holds for it
  std::size_t input_bytes = 0;       // on a GPU: batches in transit, not included above
  std::size_t resident_bytes = 0;    // also the training images, if they stay there; set by the caller

  std::size_t on_gpu() const { return pool_peak + input_bytes + resident_bytes; }
};

// The prediction for training on `device`. `classes` is used if the loss trains a classifier.
MemoryPrediction predict_memory(const PretrainOptions& options, Device device, int classes = 2);

// The table of --dry-run: a line for each layer, and the totals. `other_bytes` is the memory that the process
// needs in addition to the step.
std::string describe(const MemoryPrediction& memory, std::size_t other_bytes, Device device);
// Only the totals.
std::string describe_totals(const MemoryPrediction& memory, std::size_t other_bytes, Device device);

}  // namespace kindred
