// The streams, events and recordings of the emulated GPU.
//
// Work waits in its stream until somebody waits for it. The work at the front of a stream may run once the
// events it depends on have passed. Where several streams have such work, the order is drawn from a seed. When
// the host waits, the work it needs runs in drawn order, and sometimes a little more. A forgotten wait therefore
// shows as a wrong result, and in most cases as an error with a name:
//
//   - Two streams touch the same bytes, one of them writes, and no event separates them. This is found from the
//     events alone, so it does not depend on the order drawn.
//   - The source of a copy from pinned memory changed before the copy ran, or the destination of a copy to
//     pinned memory was written meanwhile. Until the copy runs, its destination is poisoned (NaN when read as
//     floats).
//   - Memory that is no longer there: it was given back, released, or handed to somebody else before a
//     recording that uses it is replayed.
//   - Calls that cannot be part of a recording: waiting, memory of the host or of another pool, the copy
//     stream, events from outside, a stream that is not waited for at the end. As on a GPU, the recording is
//     then invalid, even if the error is caught.
//
// Work that other processes take part in may have to wait for them. Then other streams go on, and the host looks
// as on a GPU (DeviceKernels::watch_waits). Tests that run several processes as threads give each thread a GPU of
// its own; of these only the memory is one.
//
// If work fails after it was started, the next call that waits throws the error, and so does every call after
// it, as on a GPU. The work that had been started is lost. A call that waits for the whole stream throws the
// error for the last time and clears it, so tests can go on.
//
// What this emulation cannot show: two streams whose work overlaps in time (here a piece of work is finished
// before the next begins); that a stream which became part of a recording is, when the recording runs, in no
// order with other work of that stream; what a kernel reaches through pointers that are stored in the GPU's memory; a host
// that reads pinned memory too early, other than by the poison that it finds there; how long anything takes.
#pragma once

#include <kindred/engine/cuda/emulation/uses.h>
#include <kindred/engine/device_kernels.h>

#include <concepts>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace kindred::cuda::emulation {

// What a piece of work does when its turn comes: it runs, once is_ready() says so. Of most work is_ready is empty, and it
// runs at once. Work with other processes gives them its part when is_ready() is called first. It must not throw.
struct Turn {
  template <std::invocable Run>
  Turn(Run what) : run(std::move(what)) {}
  template <std::invocable Run>
  Turn(Run what, std::function<bool()> when) : run(std::move(what)), is_ready(std::move(when)) {}

  std::function<void()> run;
  std::function<bool()> is_ready;
};

// A piece of work. `put` is called each time the work enters a stream, in the order of the calls.
struct Work {
  std::string name;              // for errors: "a copy of 96 bytes to the GPU"
  const void* kernel = nullptr;  // or a kernel; its name is looked up only when it is needed
  std::vector<Use> uses;
  std::function<Turn()> put;
};

// Puts work, or a kernel, into the stream. During a recording it goes into the recording.
void start(Work work, GpuStream stream = GpuStream::compute);
void start(const void* kernel, std::function<void()> run, std::vector<Use> uses);

void wait_for_stream(GpuStream stream);
// Waits for all work in all streams, as cudaFree does. An error is kept for the next call that waits.
void wait_for_all() noexcept;

struct Event;
Event* make_event();
void destroy_event(Event* event) noexcept;
// As in CUDA, waiting for an event that was never recorded returns at once.
void record(Event* event, GpuStream stream);
void wait_on_gpu(Event* event, GpuStream stream);
void wait_on_host(Event* event);
// Counts 0.001 for each piece of work between the events, because the emulation has no clock.
float milliseconds_between(Event* start, Event* end);

// One thread records at a time. Meanwhile other threads may do everything except use the streams.
void begin_recording();
bool is_recording();  // whether this thread records
// Throws an error if this thread records: `what`, which the caller is about to do, cannot be part of a
// recording.
void forbid_in_recording(const char* what);
// The same for callers that must not throw: it makes the recording invalid.
void spoil_recording(const char* what) noexcept;
struct Recorded;
Recorded* end_recording();
void replay(Recorded* recorded);
void destroy_recording(Recorded* recorded) noexcept;

// As in DeviceKernels and GpuEmulation.
void watch_waits(std::function<void(double seconds)> look);
void take_own_gpu();
void leave_own_gpu() noexcept;

// draw_order: from now on the order is drawn from `seed`. With seed 0 nothing is drawn and all work runs as
// late as possible. run_at_once: all work runs as soon as it is started. Initially the seed is the number in
// KINDRED_EMULATION_SEED, or 1 if that is not set.
void draw_order(std::uint64_t seed);
void run_at_once();

}  // namespace kindred::cuda::emulation
