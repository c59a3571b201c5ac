#include <kindred/engine/cuda/launch.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/third_party/timing/gpu_timing.h>
#include <kindred/third_party/timing/least_time.h>

#include <chrono>

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

// Keeps one thread busy, so that the work after it in the stream waits. Some GPUs count nanoseconds in steps of
// a millisecond, so a number of cycles ends it too.
__global__ void wait_kernel(long long nanoseconds) {
  long long start = 0, now = 0;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(start));
  const long long first_cycle = clock64();
  do {
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  } while (now - start < nanoseconds && clock64() - first_cycle < 2 * nanoseconds);  // for clocks up to 2 GHz
}

TimedRuns timed(const std::function<void()>& run, int runs, float busy) {
  using Clock = std::chrono::steady_clock;
  Event start, end;
  launch(wait_kernel, dim3(1), 1, static_cast<long long>(busy * 1e6f));
  const Clock::time_point before = Clock::now();
  start.record();
  for (int i = 0; i < runs; ++i) run();
  end.record();
  const std::chrono::duration<float, std::milli> on_host = Clock::now() - before;
  return {end.since(start), on_host.count()};
}

}  // namespace

ScratchMemory::ScratchMemory() : scope_(Device::cuda, new_memory_pool(Device::cuda)) {}

Tensor ScratchMemory::random(std::int64_t elements, DType dtype) const {
  const Tensor tensor = Tensor::empty({elements}, dtype, Device::cuda);
  gpu().randomize(Output(tensor));
  return tensor;
}

float time_on_gpu(const std::function<void()>& run) {
  return least_time([&run](int runs, float busy) { return timed(run, runs, busy); });
}

}  // namespace kindred::cuda
