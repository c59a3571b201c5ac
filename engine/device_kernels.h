// What the engine needs from a GPU: memory, copies, and whether a GPU answers. Implemented in
// engine/cuda/device.cu.
#pragma once

#include <kindred/engine/tensor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace kindred {

struct GpuProbe {
  bool usable = false;
  bool emulated = false;   // correct but slow: chosen only on request
  std::string name;        // "NVIDIA H200, driver for CUDA 13.0"; empty if it is not usable
  std::string problem;     // why it cannot be used; empty if it is usable
  std::size_t memory = 0;  // bytes
  int multiprocessors = 0;
};

// What a probe found out, step by step. If an earlier member says no, the later ones have no meaning.
struct GpuFacts {
  int runtime = 0,
      driver = 0;  // CUDA versions (13000 is 13.0) of this build and of the driver; 0: there is no driver
  bool driver_too_old = false;
  std::string error;  // CUDA's own text, if counting the GPUs failed for another reason
  int count = 0;
  std::string gpu;              // "NVIDIA H200"
  int major = 0, minor = 0;     // its architecture
  bool has_code = false;        // this build has code that the GPU can run
  std::string missing_library;  // which library, and what to do; empty if none is missing
};

// Says why the GPU cannot be used, as a clause for the user; returns "" if it can be used.
std::string why_unusable(const GpuFacts& facts);

std::string cuda_version_text(int version);  // 13000 -> "13.0"

// Work on one stream runs in the order in which it was started. The streams wait for each other only at events. All
// computation runs on `compute`. On `communicate` run sums over processes that go on while others compute.
enum class GpuStream : std::uint8_t { compute, copy, communicate };

// The additional functions of an emulated GPU (engine/cuda/emulation/streams.h).
struct GpuEmulation {
  // Pools report here what they do with the memory that they acquired.
  void (*handed_out)(std::byte* block, std::size_t bytes);
  void (*given_back)(std::byte* block);
  // Parts of a block, which begin at these bytes, are used by different work at the same time.
  void (*divided)(std::byte* block, const std::vector<std::size_t>& begins);
  // The order in which streams run, for tests. draw_order draws it from a seed, which is also the initial mode;
  // with seed 0 all work runs as late as possible. run_at_once runs all work as soon as it is started.
  void (*draw_order)(std::uint64_t seed);
  void (*run_at_once)();
  // For tests that run several processes as threads: from now on this thread has an emulated GPU of its own, with its own
  // streams and recordings. Tensors of the two must come from pools of their own (PoolScope). leave_own_gpu() waits for
  // its work and forgets the errors of work that nobody waited for.
  void (*take_own_gpu)();
  void (*leave_own_gpu)();
};

struct DeviceKernels {
  // Probes again on each call. Must not be called before main(): kernels are registered by static initialisers,
  // and until a GPU's code is registered this build seems to have none for it.
  GpuProbe (*probe)();
  std::byte* (*acquire)(std::size_t bytes);  // returns null if the GPU has no more memory
  void (*release)(std::byte* address);
  void (*free_and_total)(std::size_t& free, std::size_t& total);

  // Copy bytes between host and GPU. Both wait for all work that was started before, and return when the copy
  // is done.
  void (*upload)(const void* host, void* device, std::size_t bytes);
  void (*download)(const void* device, void* host, std::size_t bytes);

  // Runs on the GPU, in order with all other work that was started there.
  void (*set_bytes)(void* device, int value, std::size_t bytes);
  void (*fill)(Output tensor, double value);
  void (*convert)(const Tensor& from, Output to);  // same number of elements; any two types
  void (*randomize)(Output tensor);                // in [-1, 1), or random bytes; not i32 or f64

  void (*synchronize)();  // waits for all work on `compute`; throws the error of an earlier kernel here

  // Pinned host memory, so that copies need not wait.
  void* (*acquire_pinned)(std::size_t bytes);
  void (*release_pinned)(void* address);
  // Copies bytes in any direction and does not wait. Host memory must be pinned.
  void (*copy_bytes)(const void* from, void* to, std::size_t bytes, GpuStream stream);

  // An event: a position in the order of a stream.
  void* (*make_event)();
  void (*destroy_event)(void* event);
  void (*mark)(void* event, GpuStream stream);
  void (*wait_on_gpu)(void* event, GpuStream stream);  // what `stream` gets from now on starts after it
  void (*wait_on_host)(void* event);
  float (*milliseconds_between)(void* start, void* end);  // the caller has waited for both events

  // Between the two calls, work started on `compute` is recorded and not executed. The host must not wait, use the
  // copies' stream, or make `compute` wait for an event from outside. Work on `communicate` is recorded from the moment at
  // which that stream waits for an event of the recording, and `compute` must have waited for all of it before the end.
  // Of the memory functions only acquire() may be called.
  void (*begin_recording)();
  void* (*end_recording)();
  void (*replay)(void* recording);  // runs on `compute`
  void (*destroy_recording)(void* recording);

  // From now on, while the host waits for the GPU, `look` is called every few milliseconds with the seconds that this wait
  // has lasted, by whichever thread waits. It may throw, which ends the wait. For work that other processes take part in.
  // Empty: the host waits without looking, as at first.
  void (*watch_waits)(std::function<void(double seconds)> look);

  const GpuEmulation* emulation;  // null on a GPU
  // Describes the libraries that the device computes with: "cuDNN 9.19.0 in /usr/lib/x86_64-linux-gnu", or why
  // one is missing. Opens the libraries, which needs no GPU. Null if the device needs none.
  std::vector<std::string> (*libraries)() = nullptr;
  // The same of what only several GPUs need. A run on one GPU does not ask, because that opens them. Null if there are none.
  std::vector<std::string> (*libraries_of_many)() = nullptr;
};
extern const DeviceKernels* const device_cuda;  // null in a build without CUDA

// Returns what DeviceKernels::libraries returns; empty in a build without CUDA.
std::vector<std::string> libraries_of_cuda();

// Describes device cuda on this machine, one line for each fact: the GPU or why there is none, and the
// libraries.
std::vector<std::string> describe_cuda();

// Says that parts of `tensor`, which begin at these elements, are used by different work at the same time, as gradients
// are that travel while others are computed. An emulated GPU then takes such parts for different memory. Does nothing else.
void tell_used_in_parts(const Tensor& tensor, const std::vector<std::int64_t>& begins);

// Returns device_cuda. Throws Error(device) in a build without CUDA.
const DeviceKernels& gpu();

}  // namespace kindred
