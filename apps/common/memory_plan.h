// What a training step will need, worked out without running it: the step runs on the `plan` device, where
// tensors have shapes and addresses but no bytes.
#pragma once

#include <kindred/apps/common/pretrain_options.h>
#include <kindred/engine/error.h>

#include <string>
#include <vector>

namespace kindred {

struct LayerPlan {
  std::string name;             // "layer1.0.conv2"
  Shape output;                 // of the layer's last operation
  std::int64_t parameters = 0;  // elements
  std::size_t activations = 0;  // bytes kept for the backward pass that no earlier layer keeps already
};

struct MemoryPlan {
  std::vector<LayerPlan> layers;
  std::int64_t parameters = 0;       // elements
  std::size_t parameter_bytes = 0;   // values, gradients, optimizer state, low-precision copies
  std::size_t activation_bytes = 0;  // kept between forward and backward
  std::size_t step_peak = 0;         // bytes in use at the peak of a step, all of the above included
  std::size_t pool_peak = 0;         // bytes that the pool holds for it
  std::size_t input_bytes = 0;       // on a GPU: batches on their way to it, not included above
  std::size_t resident_bytes = 0;    // and the training images, where they stay there; whoever knows sets it

  std::size_t on_gpu() const { return pool_peak + input_bytes + resident_bytes; }
};

// Of training on `device`; the classes are those of a classifier, where the loss trains one.
MemoryPlan plan_memory(const PretrainOptions& options, Device device, int classes = 2);

// The largest multiple of 8, or failing that any number, of images a batch whose training step fits `bytes` of
// the device's memory; 0 where not even one image does.
std::int64_t largest_batch(PretrainOptions options, Device device, std::size_t bytes, int classes = 2);

// Throws what `error` says, and which --batch-size would fit what the GPU has free now that the run is gone.
[[noreturn]] void explain_out_of_memory(const OutOfMemory& error, const PretrainOptions& options, Device device,
                                        int classes = 2);

// Resident memory of this process, bytes: now, and at its peak so far (/proc/self/status). 0 where it cannot be
// read.
std::size_t resident_bytes();
std::size_t peak_resident_bytes();

// The table of --dry-run: a line a layer and the totals. `other_bytes` is what the process needs besides the
// step.
std::string describe(const MemoryPlan& plan, std::size_t other_bytes, Device device);
// The totals alone.
std::string describe_totals(const MemoryPlan& plan, std::size_t other_bytes, Device device);

}  // namespace kindred
