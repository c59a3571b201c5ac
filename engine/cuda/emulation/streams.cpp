// The functions for streams, events and recordings that the device uses. They lock, and they reject calls that
// cannot be part of a recording.
#include <kindred/engine/cuda/emulation/order.h>
#include <kindred/engine/cuda/emulation/recorder.h>
#include <kindred/engine/error.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <utility>

namespace kindred::cuda::emulation {
namespace {

struct Gpu {
  Streams streams;  // its mutex guards both
  std::optional<Recorder> recorder;

  bool records_here() const { return recorder && recorder->is_of_this_thread(); }
};

void finish_process();

// Never destroyed: tensors with static lifetime are freed after the end of main.
Gpu& gpu_of_process() {
  static auto* only = [] {
    std::atexit(finish_process);
    return new Gpu;
  }();
  return *only;
}

thread_local Gpu* own_gpu = nullptr;

// The GPU of this thread.
Gpu& here() {
  return own_gpu != nullptr ? *own_gpu : gpu_of_process();
}

// Reports errors that nobody waited for.
void finish_process() {
  wait_for_all();
  try {
    here().streams.throw_failure();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: at the end of the program, on the emulated GPU: %s\n", error.what());
    std::_Exit(1);
  }
}

using Lock = std::lock_guard<std::recursive_mutex>;

void refuse_in_recording(const Gpu& gpu, GpuStream stream) {
  check(!gpu.recorder || stream == GpuStream::copy, ExitCode::internal,
        "another thread used the {} while a recording was made", name_of(index(stream)));
}

}  // namespace

void start(Work work, GpuStream stream) {
  Gpu& gpu = here();
  const Lock lock(gpu.streams.mutex);
  if (gpu.records_here()) return gpu.recorder->start(std::move(work), stream);
  refuse_in_recording(gpu, stream);
  gpu.streams.put(std::move(work), index(stream));
}

void start(const void* kernel, std::function<void()> run, std::vector<Use> uses) {
  start({"", kernel, std::move(uses), [run = std::move(run)] { return run; }});
}

void wait_for_stream(GpuStream stream) {
  Gpu& gpu = here();
  const Lock lock(gpu.streams.mutex);
  forbid_in_recording("the host waited for the GPU");
  refuse_in_recording(gpu, stream);
  gpu.streams.wait_on_host(gpu.streams.clock_of(index(stream)));
  gpu.streams.throw_and_forget();
}

void wait_for_all() noexcept {
  Gpu& gpu = here();
  const Lock lock(gpu.streams.mutex);
  gpu.streams.wait_on_host(gpu.streams.lasts());
}

void watch_waits(std::function<void(double seconds)> look) {
  Gpu& gpu = here();
  const Lock lock(gpu.streams.mutex);
  gpu.streams.watch_waits(std::move(look));
}

// ---- events

Event* make_event() {
  return new Event;
}

void destroy_event(Event* event) noexcept {
  delete event;
}

void record(Event* event, GpuStream stream) {
  Gpu& gpu = here();
  const Lock lock(gpu.streams.mutex);
  if (gpu.records_here()) return gpu.recorder->mark(*event, stream);
  refuse_in_recording(gpu, stream);
  gpu.streams.record(*event, index(stream));
}

void wait_on_gpu(Event* event, GpuStream stream) {
  Gpu& gpu = here();
  const Lock lock(gpu.streams.mutex);
  if (event->state == Event::never) return;
  if (gpu.records_here()) return gpu.recorder->wait(*event, stream);
  refuse_in_recording(gpu, stream);
  check(event->state == Event::recorded, ExitCode::internal,
        "an event was waited for that was last recorded within a recording");
  gpu.streams.wait_on_gpu(*event, index(stream));
}

void wait_on_host(Event* event) {
  Gpu& gpu = here();
  const Lock lock(gpu.streams.mutex);
  forbid_in_recording("the host waited for the GPU");
  check(event->state != Event::in_recording, ExitCode::internal,
        "the host waited for an event that was last recorded within a recording");
  if (event->state == Event::recorded) gpu.streams.wait_on_host(event->clock);
  gpu.streams.throw_failure();
}

float milliseconds_between(Event* from, Event* to) {
  Gpu& gpu = here();
  const Lock lock(gpu.streams.mutex);
  for (const Event* event : {from, to})
    check(event->state == Event::recorded && gpu.streams.is_done(*event), ExitCode::internal,
          "the time between two events was asked for, and one of them has not passed");
  const auto at = [](const Event* event) { return static_cast<float>(event->clock[index(event->stream)]); };
  return (at(to) - at(from)) / 1000;
}

// ---- recordings

void begin_recording() {
  Gpu& gpu = here();
  const Lock lock(gpu.streams.mutex);
  check(!gpu.recorder, ExitCode::internal, "a recording was begun within a recording");
  gpu.streams.throw_failure();
  gpu.recorder.emplace();
}

bool is_recording() {
  const Gpu& gpu = here();
  const Lock lock(here().streams.mutex);
  return gpu.records_here();
}

void forbid_in_recording(const char* what) {
  Gpu& gpu = here();
  const Lock lock(gpu.streams.mutex);
  if (gpu.records_here()) fail(ExitCode::internal, "{}", gpu.recorder->spoil(what));
}

void spoil_recording(const char* what) noexcept {
  Gpu& gpu = here();
  const Lock lock(gpu.streams.mutex);
  if (gpu.records_here()) gpu.recorder->spoil(what);
}

Recorded* end_recording() {
  Gpu& gpu = here();
  const Lock lock(gpu.streams.mutex);
  check(gpu.records_here(), ExitCode::internal, "a recording was ended that this thread had not begun");
  Recorder ended = std::move(*gpu.recorder);
  gpu.recorder.reset();
  return new Recorded(std::move(ended).end());
}

void replay(Recorded* recorded) {
  Streams& streams = here().streams;
  const Lock lock(streams.mutex);
  forbid_in_recording("another recording was started");
  for (const Recorded::Step& step : recorded->steps)
    for (const Use& use : step.what.uses)
      if (const std::string why = why_gone(use, recorded->first_block); !why.empty())
        fail(ExitCode::internal, "a recording was started again, and memory that {} in it uses {}",
             describe(step.what.name, step.what.kernel), why);
  std::vector<Event> events(recorded->events);
  for (const Recorded::Step& step : recorded->steps) {
    if (step.kind == Recorded::Step::work)
      streams.put(step.what, index(step.stream));
    else if (step.kind == Recorded::Step::mark)
      streams.record(events[step.event], index(step.stream));
    else
      streams.wait_on_gpu(events[step.event], index(step.stream));
  }
}

void destroy_recording(Recorded* recorded) noexcept {
  delete recorded;
}

// ---- for tests

void draw_order(std::uint64_t seed) {
  Streams& streams = here().streams;
  const Lock lock(streams.mutex);
  streams.draw_order(seed);
}

void run_at_once() {
  Streams& streams = here().streams;
  const Lock lock(streams.mutex);
  streams.run_at_once();
}

void take_own_gpu() {
  check(own_gpu == nullptr, ExitCode::internal, "this thread has a GPU of its own already");
  own_gpu = new Gpu;
}

void leave_own_gpu() noexcept {
  if (own_gpu == nullptr) return;
  wait_for_all();
  delete std::exchange(own_gpu, nullptr);
}

}  // namespace kindred::cuda::emulation
