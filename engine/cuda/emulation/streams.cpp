// The functions for streams, events and recordings that the device uses. They lock, and they reject calls that
// cannot be part of a recording.
#include <kindred/engine/cuda/emulation/order.h>
#include <kindred/engine/error.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <thread>
#include <utility>

namespace kindred::cuda::emulation {

struct Recorded {
  std::vector<Work> work;
  std::uint64_t first_block = 0;  // the newest block when the recording began
};

namespace {

// The recording in progress, and the thread that makes it.
std::optional<Recorded> recording;
std::thread::id recorder;
std::string spoilt;

void finish_process();

// Never destroyed: tensors with static lifetime are freed after the end of main.
Streams& streams() {
  static auto* all = [] {
    std::atexit(finish_process);
    return new Streams;
  }();
  return *all;
}

// Reports errors that nobody waited for.
void finish_process() {
  wait_for_all();
  try {
    streams().throw_failure();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: at the end of the program, on the emulated GPU: %s\n", error.what());
    std::_Exit(1);
  }
}

using Lock = std::lock_guard<std::recursive_mutex>;

bool records_here() {
  return recording && recorder == std::this_thread::get_id();
}

[[noreturn]] void spoil(const std::string& what) {
  if (spoilt.empty()) spoilt = what;
  fail(ExitCode::internal, "in a recording, {}", what);
}

void refuse_in_recording(GpuStream stream, const char* what) {
  if (records_here()) spoil(what);
  check(!recording || stream != GpuStream::compute, ExitCode::internal,
        "another thread used the compute stream while it was recorded");
}

}  // namespace

void start(Work work, GpuStream stream) {
  const Lock lock(streams().mutex);
  if (stream == GpuStream::copy || !records_here()) {
    refuse_in_recording(stream, "work was started on the copies' stream, of which nothing is recorded");
    return streams().put(std::move(work), index(stream));
  }
  recording->work.push_back(std::move(work));
}

void start(const void* kernel, std::function<void()> run, std::vector<Use> uses) {
  start({"", kernel, std::move(uses), [run = std::move(run)] { return run; }});
}

void wait_for_stream(GpuStream stream) {
  const Lock lock(streams().mutex);
  refuse_in_recording(stream, "the host waited for the GPU");
  streams().wait_on_host(streams().clock_of(index(stream)));
  streams().throw_and_forget();
}

void wait_for_all() noexcept {
  const Lock lock(streams().mutex);
  streams().wait_on_host(streams().lasts());
}

// ---- events

Event* make_event() {
  return new Event;
}

void destroy_event(Event* event) noexcept {
  delete event;
}

void record(Event* event, GpuStream stream) {
  const Lock lock(streams().mutex);
  if (records_here() && stream == GpuStream::compute) {
    event->state = Event::in_recording;
    return;
  }
  refuse_in_recording(stream, "an event was recorded on the copies' stream");
  streams().record(*event, index(stream));
}

void wait_on_gpu(Event* event, GpuStream stream) {
  const Lock lock(streams().mutex);
  if (event->state == Event::never) return;
  if (records_here()) {
    if (stream == GpuStream::compute && event->state == Event::in_recording) return;
    spoil(stream == GpuStream::compute ? "an event was waited for that was recorded outside of it"
                                       : "the copies' stream was told to wait");
  }
  refuse_in_recording(stream, "");
  check(event->state == Event::recorded, ExitCode::internal,
        "an event was waited for that was last recorded within a recording");
  streams().wait_on_gpu(*event, index(stream));
}

void wait_on_host(Event* event) {
  const Lock lock(streams().mutex);
  forbid_in_recording("the host waited for the GPU");
  check(event->state != Event::in_recording, ExitCode::internal,
        "the host waited for an event that was last recorded within a recording");
  if (event->state == Event::recorded) streams().wait_on_host(event->clock);
  streams().throw_failure();
}

float milliseconds_between(Event* from, Event* to) {
  const Lock lock(streams().mutex);
  for (const Event* event : {from, to})
    check(event->state == Event::recorded && streams().is_done(*event), ExitCode::internal,
          "the time between two events was asked for, and one of them has not passed");
  const auto at = [](const Event* event) { return static_cast<float>(event->clock[index(event->stream)]); };
  return (at(to) - at(from)) / 1000;
}

// ---- recordings

void begin_recording() {
  const Lock lock(streams().mutex);
  check(!recording, ExitCode::internal, "a recording was begun within a recording");
  streams().throw_failure();
  recording.emplace().first_block = newest_block();
  recorder = std::this_thread::get_id();
  spoilt.clear();
}

bool is_recording() {
  const Lock lock(streams().mutex);
  return records_here();
}

void forbid_in_recording(const char* what) {
  const Lock lock(streams().mutex);
  if (records_here()) spoil(what);
}

void spoil_recording(const char* what) noexcept {
  const Lock lock(streams().mutex);
  if (records_here() && spoilt.empty()) spoilt = what;
}

Recorded* end_recording() {
  const Lock lock(streams().mutex);
  check(records_here(), ExitCode::internal, "a recording was ended that this thread had not begun");
  Recorded ended = std::move(*recording);
  recording.reset();
  check(spoilt.empty(), ExitCode::internal, "a recording came to nothing: in it, {}", spoilt);
  return new Recorded(std::move(ended));
}

void replay(Recorded* recorded) {
  const Lock lock(streams().mutex);
  forbid_in_recording("another recording was started");
  for (const Work& work : recorded->work)
    for (const Use& use : work.uses)
      if (const std::string why = why_gone(use, recorded->first_block); !why.empty())
        fail(ExitCode::internal, "a recording was started again, and memory that {} in it uses {}",
             describe(work.name, work.kernel), why);
  for (const Work& work : recorded->work) streams().put(work, index(GpuStream::compute));
}

void destroy_recording(Recorded* recorded) noexcept {
  delete recorded;
}

// ---- the order

void draw_order(std::uint64_t seed) {
  const Lock lock(streams().mutex);
  streams().draw_order(seed);
}

void run_at_once() {
  const Lock lock(streams().mutex);
  streams().run_at_once();
}

}  // namespace kindred::cuda::emulation
