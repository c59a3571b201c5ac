// The emulated GPU's memory is the host's, in areas of its own; copies are work of its streams.
#include <kindred/engine/cuda/elements.h>
#include <kindred/engine/cuda/emulated_streams.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace kindred {
namespace {

namespace emulation = cuda::emulation;
using emulation::Place;
using emulation::Use;

constexpr std::byte poison{0xff};  // NaN, as floats

// As on a GPU, the host cannot take part in what is recorded.
void upload(const void* from, void* to, std::size_t bytes) {
  check(!cuda::emulation::is_recording(), ExitCode::internal,
        "the host read or wrote the GPU's memory in a recording");
  std::memcpy(to, from, bytes);
}

void copy_bytes(const void* from, void* to, std::size_t bytes, GpuStream stream) {
  if (bytes == 0) return;
  const auto place = [](const void* address) {
    const Place found = emulation::place_of(address);
    check(found != Place::elsewhere, ExitCode::internal,
          "a copy that does not wait was given memory of the host that is not pinned");
    return found == Place::gpu ? "the GPU" : "the host";
  };
  const std::string name = fmt::format("a copy of {} bytes from {} to {}", bytes, place(from), place(to));
  const Use source = emulation::exact_use(from, bytes, false, name);
  const Use target = emulation::exact_use(to, bytes, true, name);
  emulation::start({name, {source, target}, [=] { return guarded(name, source, target); }}, stream);
}

emulation::Event* event_of(void* event) {
  return static_cast<emulation::Event*>(event);
}

const GpuEmulation watched = {
    [](std::byte* block, std::size_t bytes) {
      emulation::hand_out_block(block, bytes, emulation::is_recording());
    },
    emulation::take_back_block,
    emulation::draw_order,
    emulation::run_at_once,
};

const DeviceKernels kernels = {
    [] {
      GpuProbe result;
      result.usable = result.emulated = true;
      result.reason = "emulated on the host, for tests";
      result.memory = std::size_t{8} << 30;
      result.multiprocessors = 2;
      return result;
    },
    cuda::emulation::acquire_memory,
    cuda::emulation::release_memory,
    [](std::size_t& free, std::size_t& total) { free = total = std::size_t{8} << 30; },
    [](const void* host, void* device, std::size_t bytes) {
      copy_and_wait("an upload", host, device, bytes, true);
    },
    [](const void* device, void* host, std::size_t bytes) {
      copy_and_wait("a download", device, host, bytes, false);
    },
    set_bytes,
    cuda::fill,
    cuda::convert,
    cuda::randomize,
    [] { emulation::wait_for_stream(GpuStream::compute); },
    acquire_pinned,
    release_pinned,
    copy_bytes,
    []() -> void* { return emulation::make_event(); },
    [](void* event) { emulation::destroy_event(event_of(event)); },
    [](void* event, GpuStream stream) { emulation::record(event_of(event), stream); },
    [](void* event, GpuStream stream) { emulation::wait_on_gpu(event_of(event), stream); },
    [](void* event) { emulation::wait_on_host(event_of(event)); },
    [](void* start, void* end) { return emulation::milliseconds_between(event_of(start), event_of(end)); },
    emulation::begin_recording,
    []() -> void* { return emulation::end_recording(); },
    [](void* recording) { emulation::replay(static_cast<emulation::Recorded*>(recording)); },
    [](void* recording) { emulation::destroy_recording(static_cast<emulation::Recorded*>(recording)); },
    &watched,
};

}  // namespace

const DeviceKernels* const device_cuda = &kernels;

}  // namespace kindred
