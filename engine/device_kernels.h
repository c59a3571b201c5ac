// What the engine asks of a GPU: memory, copies, and whether one answers. engine/cuda/device.cu has them.
#pragma once

#include <kindred/engine/tensor.h>

#include <cstddef>
#include <string>

namespace kindred {

struct GpuProbe {
  bool usable = false;
  std::string reason;        // why not; or "NVIDIA H200, driver 13.0"
  std::size_t memory = 0;    // bytes
  int multiprocessors = 0;
};

struct DeviceKernels {
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

  void (*synchronize)();  // waits until the GPU is idle; an error of an earlier kernel is thrown here
};
extern const DeviceKernels* const device_cuda;  // null in a build without CUDA

// The above; Error(device) in a build without CUDA.
const DeviceKernels& gpu();

}  // namespace kindred
