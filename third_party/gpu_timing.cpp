#include <kindred/engine/cuda/stream.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/third_party/gpu_timing.h>

#include <algorithm>
#include <limits>

namespace kindred::cuda {
namespace {

class Event {
 public:
  Event() { check_status(cudaEventCreate(&event_), "cudaEventCreate"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record() { check_status(cudaEventRecord(event_, stream()), "cudaEventRecord"); }
  float since(const Event& start) const {  // milliseconds
    check_status(cudaEventSynchronize(event_), "a kernel");
    float milliseconds = 0;
    check_status(cudaEventElapsedTime(&milliseconds, start.event_, event_), "cudaEventElapsedTime");
    return milliseconds;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace

ScratchMemory::ScratchMemory() : scope_(Device::cuda, new_memory_pool(Device::cuda)) {}

Tensor ScratchMemory::random(std::int64_t elements, DType dtype) const {
  const Tensor tensor = Tensor::empty({elements}, dtype, Device::cuda);
  gpu().randomize(tensor);
  return tensor;
}

float time_on_gpu(const std::function<void()>& run) {
  Event start, end;
  float time = std::numeric_limits<float>::max();
  for (int repeat = 0; repeat < 3; ++repeat) {
    start.record();
    run();
    end.record();
    time = std::min(time, end.since(start));
  }
  return time;
}

}  // namespace kindred::cuda
