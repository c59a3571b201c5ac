// The emulated GPU. Its memory is host memory, in separate areas. Copies are work in its streams.
#include <kindred/engine/cuda/elements.h>
#include <kindred/engine/cuda/emulation/streams.h>
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

constexpr std::byte poison{0xff};  // NaN when read as floats

std::byte* acquire(std::size_t bytes) {
  // As in device.cu, a recording may need one slab more.
  return emulation::acquire_slab(bytes);
}

void release(std::byte* slab) {
  emulation::spoil_recording("memory of the GPU was released");
  emulation::wait_for_all();
  emulation::release_slab(slab);
}

// A copy between the GPU and any host memory. It is complete when the host continues.
void copy_and_wait(const char* name, const void* from, void* to, std::size_t bytes, bool to_gpu) {
  emulation::forbid_in_recording("the host read or wrote the GPU's memory");
  if (bytes > 0)
    emulation::start({name, nullptr, {emulation::exact_use(to_gpu ? to : from, bytes, to_gpu, name)}, [=] {
                        return [=] { std::memcpy(to, from, bytes); };
                      }});
  emulation::wait_for_stream(GpuStream::compute);
}

void set_bytes(void* device, int value, std::size_t bytes) {
  emulation::start(
      {"setting bytes", nullptr, {emulation::exact_use(device, bytes, true, "setting bytes")}, [=] {
         return [=] { std::memset(device, value, bytes); };
       }});
}

void* acquire_pinned(std::size_t bytes) {
  emulation::forbid_in_recording("pinned memory was acquired");
  void* area = emulation::acquire_pinned(bytes);
  check(area != nullptr, ExitCode::device, "out of memory: the host has no {} MiB more", bytes >> 20);
  return area;
}

void release_pinned(void* area) {
  emulation::spoil_recording("pinned memory was released");
  emulation::release_pinned(area);
}

// Runs a copy when its turn comes. Until then the host must not change the bytes that are read or written.
std::function<void()> guarded(const std::string& name, const Use& from, const Use& to) {
  const auto* source = reinterpret_cast<const std::byte*>(from.begin);
  auto* target = reinterpret_cast<std::byte*>(to.begin);
  const std::size_t bytes = from.end - from.begin;
  std::vector<std::byte> seen;
  if (emulation::place_of(source) == Place::pinned) seen.assign(source, source + bytes);
  const bool to_host = emulation::place_of(target) == Place::pinned;
  if (to_host) std::fill_n(target, bytes, poison);
  return [=, seen = std::move(seen)] {
    check(emulation::is_there(from) && emulation::is_there(to), ExitCode::internal,
          "{}: its pinned memory was released before it was done", name);
    check(seen.empty() || std::equal(seen.begin(), seen.end(), source), ExitCode::internal,
          "{}: the host wrote to its source before it was done", name);
    check(!to_host || std::all_of(target, target + bytes, [](std::byte b) { return b == poison; }),
          ExitCode::internal, "{}: the host wrote to its destination before it was done", name);
    std::memcpy(target, source, bytes);
  };
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
  emulation::start({name, nullptr, {source, target}, [=] { return guarded(name, source, target); }}, stream);
}

emulation::Event* event_of(void* event) {
  return static_cast<emulation::Event*>(event);
}

const GpuEmulation watched = {
    [](std::byte* block, std::size_t bytes) {
      emulation::hand_out_block(block, bytes, emulation::is_recording());
    },
    emulation::take_back_block,
    emulation::divide_block,
    emulation::draw_order,
    emulation::run_at_once,
    emulation::take_own_gpu,
    [] { emulation::leave_own_gpu(); },
};

const DeviceKernels kernels = {
    [] {
      GpuProbe result;
      result.usable = result.emulated = true;
      result.name = "emulated on the host, for tests";
      result.memory = std::size_t{8} << 30;
      result.multiprocessors = 2;
      return result;
    },
    acquire,
    release,
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
    emulation::watch_waits,
    &watched,
};

}  // namespace

const DeviceKernels* const device_cuda = &kernels;

}  // namespace kindred
