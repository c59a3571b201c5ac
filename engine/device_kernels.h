// What the engine asks of a GPU: memory, copies, and whether one answers. engine/cuda/device.cu has them.
#pragma once

#include <kindred/engine/tensor.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kindred {

struct GpuProbe {
  bool usable = false;
  bool emulated = false;   // correct and slow: taken when it is asked for, never by itself
  std::string reason;      // why not; or "NVIDIA H200, driver for CUDA 13.0"
  std::size_t memory = 0;  // bytes
  int multiprocessors = 0;
};

// What a probe found out, step by step; the later members mean nothing when an earlier one says no.
struct GpuFacts {
  int runtime = 0,
      driver = 0;  // versions of CUDA, 13000 for 13.0: of this build, and what the driver knows; 0: no driver
  bool driver_too_old = false;
  std::string error;  // in CUDA's words, when counting GPUs failed otherwise
  int count = 0;
  std::string gpu;              // "NVIDIA H200"
  int major = 0, minor = 0;     // its architecture
  bool has_code = false;        // this build has code that it can run
  std::string missing_library;  // which, and what to do; or empty
};

// Why the GPU cannot be used, as a clause for the user, or "".
std::string why_unusable(const GpuFacts& facts);

std::string cuda_version_text(int version);  // 13000 -> "13.0"

// Work on one stream runs in the order in which it was started; the two wait for each other only where an event
// says so. Everything that computes runs on `compute`.
enum class GpuStream : std::uint8_t { compute, copy };

// What an emulated GPU is told and asked besides (engine/cuda/emulated_streams.h).
struct GpuEmulation {
  // What pools do with the memory that they acquired.
  void (*handed_out)(std::byte* block, std::size_t bytes);
  void (*given_back)(std::byte* block);
  // The order in which streams run, for tests: drawn from a seed, as at first; 0: as late as can be; or at once.
  void (*draw_order)(std::uint64_t seed);
  void (*run_at_once)();
};

struct DeviceKernels {
  // Asks anew each time. Not before main(): kernels are made known by static initialisers, and a GPU whose code
  // is not yet known is taken for one that this build has no code for.
  GpuProbe (*probe)();
  std::byte* (*acquire)(std::size_t bytes);  // null when the GPU has no more
  void (*release)(std::byte* address);
  void (*free_and_total)(std::size_t& free, std::size_t& total);

  // Bytes between the host and the GPU, either way; both wait for what was started before and until they are
  // done.
  void (*upload)(const void* host, void* device, std::size_t bytes);
  void (*download)(const void* device, void* host, std::size_t bytes);

  // On the GPU, in the order of everything else that was started there.
  void (*set_bytes)(void* device, int value, std::size_t bytes);
  void (*fill)(const Tensor& tensor, double value);
  void (*convert)(const Tensor& from, const Tensor& to);  // as many elements; any two types
  void (*randomize)(const Tensor& tensor);                // in [-1, 1), or bytes of any value; not i32 or f64

  void (*synchronize)();  // waits for all of `compute`; an error of an earlier kernel is thrown here

  // Host memory that stays where it is, so that copies need not wait.
  void* (*acquire_pinned)(std::size_t bytes);
  void (*release_pinned)(void* address);
  // Bytes in any direction; host memory must be pinned. Does not wait.
  void (*copy_bytes)(const void* from, void* to, std::size_t bytes, GpuStream stream);

  // A mark in the order of a stream.
  void* (*make_event)();
  void (*destroy_event)(void* event);
  void (*mark)(void* event, GpuStream stream);
  void (*wait_on_gpu)(void* event, GpuStream stream);  // what `stream` gets from now on starts after the mark
  void (*wait_on_host)(void* event);
  float (*milliseconds_between)(void* start, void* end);  // both have been waited for

  // Between the two, what is started on `compute` is noted down and not done. The host must not wait, nor use
  // the other stream, nor wait on `compute` for an event of outside; of memory, only acquire() may be called.
  void (*begin_recording)();
  void* (*end_recording)();
  void (*replay)(void* recording);  // on `compute`
  void (*destroy_recording)(void* recording);

  const GpuEmulation* emulation;  // null on a GPU
  // The libraries that it computes with, in words: "cuDNN 9.19.0 in /usr/lib/x86_64-linux-gnu", or why one is
  // missing. Opens them, which needs no GPU. Null where it needs none.
  std::vector<std::string> (*libraries)() = nullptr;
};
extern const DeviceKernels* const device_cuda;  // null in a build without CUDA

// DeviceKernels::libraries; none in a build without CUDA.
std::vector<std::string> libraries_of_cuda();

// What there is of device cuda on this machine, a line each: the GPU or why there is none, and the libraries.
std::vector<std::string> describe_cuda();

// The above; Error(device) in a build without CUDA.
const DeviceKernels& gpu();

}  // namespace kindred
