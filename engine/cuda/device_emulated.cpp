// The memory of the emulated GPU (engine/cuda/emulation.h) is the host's, in blocks of its own.
#include <kindred/engine/cuda/elements.h>
#include <kindred/engine/cuda/emulation.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/error.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

namespace kindred {
namespace {

using cuda::emulation::start;

std::byte* acquire(std::size_t bytes) {
  return static_cast<std::byte*>(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096));
}

// As on a GPU, the host cannot take part in what is recorded.
void upload(const void* from, void* to, std::size_t bytes) {
  check(!cuda::emulation::is_recording(), ExitCode::internal,
        "the host read or wrote the GPU's memory in a recording");
  std::memcpy(to, from, bytes);
}

void copy_bytes(const void* from, void* to, std::size_t bytes, GpuStream stream) {
  if (stream == GpuStream::copy) return static_cast<void>(std::memcpy(to, from, bytes));
  start([=] { std::memcpy(to, from, bytes); });
}

using Recorded = std::vector<std::function<void()>>;

const DeviceKernels kernels = {
    [] {
      GpuProbe result;
      result.usable = result.emulated = true;
      result.reason = "emulated on the host, for tests";
      result.memory = std::size_t{8} << 30;
      result.multiprocessors = 2;
      return result;
    },
    acquire,
    [](std::byte* address) { std::free(address); },
    [](std::size_t& free, std::size_t& total) { free = total = std::size_t{8} << 30; },
    upload,
    [](const void* device, void* host, std::size_t bytes) { upload(device, host, bytes); },
    [](void* device, int value, std::size_t bytes) { start([=] { std::memset(device, value, bytes); }); },
    cuda::fill,
    cuda::convert,
    cuda::randomize,
    [] {},
    [](std::size_t bytes) { return std::malloc(bytes); },
    [](void* address) { std::free(address); },
    copy_bytes,
    // There is one stream, and everything on it is done at once: events have nothing to say.
    []() -> void* { return nullptr; },
    [](void*) {},
    [](void*, GpuStream) {},
    [](void*, GpuStream) {},
    [](void*) {},
    [](void*, void*) { return 0.0f; },
    cuda::emulation::begin_recording,
    []() -> void* { return new Recorded(cuda::emulation::end_recording()); },
    [](void* recording) {
      for (const auto& work : *static_cast<Recorded*>(recording)) work();
    },
    [](void* recording) { delete static_cast<Recorded*>(recording); },
};

}  // namespace

const DeviceKernels* const device_cuda = &kernels;

}  // namespace kindred
