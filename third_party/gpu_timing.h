// Timing the ways that a library offers for one computation, on scratch memory.
#pragma once

#include <kindred/engine/memory.h>
#include <kindred/engine/tensor.h>

#include <functional>

namespace kindred::cuda {

// While one of these lives, GPU tensors of this thread come from a pool of their own, which ends with it: what
// is needed to choose a plan takes nothing from a training step.
class ScratchMemory {
 public:
  ScratchMemory();

  // Random numbers: zeros would be multiplied faster than what a network holds.
  Tensor random(std::int64_t elements, DType dtype) const;

 private:
  PoolScope scope_;
};

// Milliseconds that `run` keeps the GPU busy, without what the host takes to start it (least_time.h). It has
// run once before, and waits for nothing. Waits for the GPU.
float time_on_gpu(const std::function<void()>& run);

}  // namespace kindred::cuda
