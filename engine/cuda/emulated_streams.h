// The streams, events and recordings of the emulated GPU.
//
// Work waits in its stream until somebody waits for it. What may run then is the front of a stream whose events
// have passed, and the order among these is drawn from a seed; a wait of the host runs what it needs, in drawn
// order, and now and then something more. So a forgotten wait shows as a wrong result, and mostly by name:
//
//   - Two streams touch the same bytes, one of them writes, and no event is between them. This is found from
//     the events alone, so whatever order is drawn.
//   - A copy from pinned memory whose source changed before it ran; a copy to pinned memory whose destination
//     was written meanwhile. Until it runs, the destination is poisoned (NaN as floats).
//   - Memory that is no longer there: given back, released, or handed to somebody else before a recording that
//     uses it is started again.
//   - What cannot be part of a recording: waiting, memory of the host or of another pool, the copies' stream,
//     events of outside. As on a GPU, the recording is then spoilt, even if the error is caught.
//
// An error of work that runs late is thrown by the call that waits, and by every call after it, as on a GPU;
// what had been started is lost. Who waits for the whole stream is the last to be told: tests then go on.
//
// What this cannot show: two streams whose work overlaps in time, piece by piece (here a piece of work is done
// before the next begins); what a kernel reaches through pointers that lie in the GPU's memory; a host that
// reads pinned memory too early, other than by the poison that it finds there; how long anything takes.
#pragma once

#include <kindred/engine/cuda/emulated_uses.h>
#include <kindred/engine/device_kernels.h>

#include <functional>
#include <string>
#include <vector>

namespace kindred::cuda::emulation {

// A piece of work. Each time that it is put into a stream, `put` is called, and gives what is done in its turn.
struct Work {
  std::string name;              // for errors: "a copy of 96 bytes to the GPU"
  const void* kernel = nullptr;  // or a kernel, which is named when it must be
  std::vector<Use> uses;
  std::function<std::function<void()>()> put;
};

// Puts work, or a kernel, into the stream; while a recording goes on, into the recording.
void start(Work work, GpuStream stream = GpuStream::compute);
void start(const void* kernel, std::function<void()> run, std::vector<Use> uses);

void wait_for_stream(GpuStream stream);
// As cudaFree does: for all that was started anywhere. An error is kept for the next call that waits.
void wait_for_all() noexcept;

struct Event;
Event* make_event();
void destroy_event(Event* event) noexcept;
// As CUDA has it, an event that was never recorded keeps no one waiting.
void record(Event* event, GpuStream stream);
void wait_on_gpu(Event* event, GpuStream stream);
void wait_on_host(Event* event);
// A thousandth for each piece of work between them: there is no time here.
float milliseconds_between(Event* start, Event* end);

// By one thread at a time. Of other threads, only the use of the streams is refused meanwhile.
void begin_recording();
bool is_recording();  // this thread
// Error where this thread records: what the caller does, `what`, cannot be part of a recording.
void forbid_in_recording(const char* what);
// The same where nothing may be thrown: the recording is spoilt.
void spoil_recording(const char* what) noexcept;
struct Recorded;
Recorded* end_recording();
void replay(Recorded* recorded);
void destroy_recording(Recorded* recorded) noexcept;

// From here on the order is drawn from `seed`; 0 draws nothing, and everything is as late as it can be. Or all
// is done as soon as it is started. At first the seed is the number in KINDRED_EMULATION_SEED, 1 where there is
// none.
void draw_order(std::uint64_t seed);
void run_at_once();

}  // namespace kindred::cuda::emulation
