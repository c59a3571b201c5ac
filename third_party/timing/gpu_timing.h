// Measures, on scratch memory, the ways that a library offers for one computation.
#pragma once

#include <kindred/engine/memory.h>
#include <kindred/engine/tensor.h>

#include <functional>

namespace kindred::cuda {

// While one of these exists, GPU tensors of this thread come from a separate pool that ends with it. So
// choosing a plan takes no memory from a training step.
class ScratchMemory {
 public:
  ScratchMemory();

  // Random numbers, because zeros would be multiplied faster than the values in a network.
  Tensor random(std::int64_t elements, DType dtype) const;

 private:
  PoolScope scope_;
};

// The time in milliseconds that `run` keeps the GPU busy, without the host's time to start it (least_time.h).
// `run` must have run once before and must not wait for anything. Waits for the GPU.
float time_on_gpu(const std::function<void()>& run);

}  // namespace kindred::cuda
