// The memory of the emulated GPU (engine/cuda/emulation.h) is the host's, in blocks of its own.
#include <kindred/engine/cuda/elements.h>
#include <kindred/engine/device_kernels.h>

#include <cstdlib>
#include <cstring>

namespace kindred {
namespace {

std::byte* acquire(std::size_t bytes) {
  return static_cast<std::byte*>(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096));
}

const DeviceKernels kernels = {
    [] {
      GpuProbe result;
      result.usable = true;
      result.reason = "emulated on the host, for tests";
      result.memory = std::size_t{8} << 30;
      result.multiprocessors = 2;
      return result;
    },
    acquire,
    [](std::byte* address) { std::free(address); },
    [](std::size_t& free, std::size_t& total) { free = total = std::size_t{8} << 30; },
    [](const void* host, void* device, std::size_t bytes) { std::memcpy(device, host, bytes); },
    [](const void* device, void* host, std::size_t bytes) { std::memcpy(host, device, bytes); },
    [](void* device, int value, std::size_t bytes) { std::memset(device, value, bytes); },
    cuda::fill,
    cuda::convert,
    [] {},
};

}  // namespace

const DeviceKernels* const device_cuda = &kernels;

}  // namespace kindred
