#include <kindred/engine/cuda/emulation/recorder.h>
#include <kindred/engine/cuda/emulation/uses.h>
#include <kindred/engine/error.h>

#include <atomic>

namespace kindred::cuda::emulation {
namespace {

std::uint64_t new_serial() {
  static std::atomic<std::uint64_t> recordings{0};
  return ++recordings;
}

}  // namespace

Recorder::Recorder() : thread_(std::this_thread::get_id()), serial_(new_serial()) {
  recorded_.first_block = newest_block();
  is_part_[index(GpuStream::compute)] = true;
}

void Recorder::start(Work work, GpuStream stream) {
  check_part(stream, "work was started");
  ++last_[index(stream)];
  recorded_.steps.push_back({Recorded::Step::work, stream, std::move(work)});
}

void Recorder::mark(Event& event, GpuStream stream) {
  check_part(stream, "an event was recorded");
  event.state = Event::in_recording;
  event.stream = stream;
  event.clock = known_[index(stream)];
  event.clock[index(stream)] = last_[index(stream)];
  event.recording = serial_;
  event.number = recorded_.events++;
  recorded_.steps.push_back({Recorded::Step::mark, stream, {}, event.number});
}

void Recorder::wait(const Event& event, GpuStream stream) {
  if (stream == GpuStream::copy) refuse("the copies' stream was told to wait");
  if (event.state != Event::in_recording || event.recording != serial_)
    refuse("an event was waited for that was recorded outside of it");
  is_part_[index(stream)] = true;
  if (event.stream == stream) return;
  Clock& known = known_[index(stream)];
  known = later(known, event.clock);
  ++last_[index(stream)];  // CUDA wants this stream to be waited for, even if it is given nothing else
  recorded_.steps.push_back({Recorded::Step::wait, stream, {}, event.number});
}

std::string Recorder::spoil(const std::string& what) {
  if (spoilt_.empty()) spoilt_ = what;
  return "in a recording, " + what;
}

Recorded Recorder::end() && {
  const std::size_t compute = index(GpuStream::compute);
  for (std::size_t s = 0; s < stream_count; ++s)
    if (s != compute && known_[compute][s] < last_[s])
      spoil(fmt::format("the compute stream did not wait for the {} at the end", name_of(s)));
  check(spoilt_.empty(), ExitCode::internal, "a recording came to nothing: in it, {}", spoilt_);
  return std::move(recorded_);
}

void Recorder::check_part(GpuStream stream, const char* what) {
  if (is_part_[index(stream)]) return;
  if (stream == GpuStream::copy)
    refuse(fmt::format("{} on the copies' stream, of which nothing is recorded", what));
  refuse(fmt::format("{} on the {} before it had waited for an event of the recording", what,
                     name_of(index(stream))));
}

void Recorder::refuse(const std::string& what) {
  fail(ExitCode::internal, "{}", spoil(what));
}

}  // namespace kindred::cuda::emulation
