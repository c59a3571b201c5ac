#include <kindred/engine/cuda/emulation/order.h>
#include <kindred/engine/cuda/emulation/places.h>
#include <kindred/engine/cuda/emulation/threads.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <utility>

namespace kindred::cuda::emulation {
namespace {

constexpr std::size_t most_waiting = 4096;  // per stream; then the host waits for the first one, as on a GPU

Clock later(const Clock& a, const Clock& b) {
  return {std::max(a[0], b[0]), std::max(a[1], b[1])};
}

const char* name_of(std::size_t stream) {
  return stream == index(GpuStream::copy) ? "copies' stream" : "compute stream";
}

}  // namespace

std::string describe(const std::string& name, const void* kernel) {
  return kernel == nullptr ? name : "the kernel " + kernel_name(kernel);
}

Streams::Streams() {
  draw_order(seed());
}

void Streams::draw_order(std::uint64_t seed) {
  at_once_ = false;
  latest_ = seed == 0;
  random_.seed(seed);
  draw_mood();
}

void Streams::run_at_once() {
  at_once_ = true;
  run_until(lasts());
}

void Streams::put(Work work, std::size_t on) {
  throw_failure();
  Stream& stream = streams_[on];
  const Clock before = later(stream.known, host_);
  check_order(work, on, before);
  const std::uint64_t number = stream.last + 1;
  std::function<void()> run = work.put();
  stream.last = number;
  if (!work.uses.empty())
    stream.unordered.push_back({number, std::move(work.name), work.kernel, std::move(work.uses)});
  stream.waiting.push_back({number, std::move(run), {}});
  if (at_once_) {
    run_until(lasts());
  } else {
    while (stream.waiting.size() > most_waiting) run_until(clock_of(on, stream.waiting.front().number));
    while (chance(eagerness_) && run_something(lasts())) {
    }
  }
  if (at_once_) throw_failure();
}

void Streams::record(Event& event, std::size_t on) {
  event.state = Event::recorded;
  event.stream = static_cast<GpuStream>(on);
  event.clock = later(streams_[on].known, host_);
  event.clock[on] = streams_[on].last;
}

void Streams::wait_on_gpu(const Event& event, std::size_t on) {
  Stream& stream = streams_[on];
  stream.known = later(stream.known, event.clock);
  stream.waiting.push_back(
      {++stream.last, {}, clock_of(index(event.stream), event.clock[index(event.stream)])});
  if (at_once_) run_until(lasts());
}

void Streams::wait_on_host(const Clock& clock) {
  host_ = later(host_, clock);
  run_until(clock);
  for (std::size_t s = 0; s < streams_.size(); ++s) {
    auto& unordered = streams_[s].unordered;
    while (!unordered.empty() && unordered.front().number <= host_[s]) unordered.pop_front();
  }
  if (chance(0.25))
    for (std::uint64_t more = random_() % 16; more > 0 && run_something(lasts()); --more) {
    }
  if (chance(1.0 / 64)) draw_mood();
}

Clock Streams::clock_of(std::size_t on) const {
  Clock clock = streams_[on].known;
  clock[on] = streams_[on].last;
  return clock;
}

bool Streams::is_done(const Event& event) const {
  return streams_[index(event.stream)].done >= event.clock[index(event.stream)];
}

void Streams::throw_failure() const {
  if (failure_) std::rethrow_exception(failure_);
}

void Streams::throw_and_forget() {
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

Clock Streams::clock_of(std::size_t on, std::uint64_t number) {
  Clock clock{};
  clock[on] = number;
  return clock;
}

void Streams::draw_mood() {
  constexpr double eagernesses[] = {0, 0, 0, 0.05, 0.5}, preferences[] = {0.1, 0.5, 0.9};
  eagerness_ = latest_ ? 0 : eagernesses[random_() % std::size(eagernesses)];
  prefer_compute_ = preferences[random_() % std::size(preferences)];
}

bool Streams::chance(double of_one) {
  return !latest_ && static_cast<double>(random_() >> 11) < of_one * 9007199254740992.0;
}

void Streams::check_order(const Work& work, std::size_t on, const Clock& before) {
  const std::size_t other = 1 - on;
  auto& unordered = streams_[other].unordered;
  while (!unordered.empty() && unordered.front().number <= before[other]) unordered.pop_front();
  for (const Started& started : unordered)
    for (const Use& a : started.uses)
      for (const Use& b : work.uses)
        if (conflict(a, b))
          fail(ExitCode::internal,
               "{} on the {} and {} on the {} use the same memory, one of them writes, and no event is "
               "waited for between them",
               describe(started.name, started.kernel), name_of(other), describe(work.name, work.kernel),
               name_of(on));
}

bool Streams::may_run(std::size_t s) const {
  const Stream& stream = streams_[s];
  if (stream.waiting.empty()) return false;
  const Clock& after = stream.waiting.front().after;
  return after[0] <= streams_[0].done && after[1] <= streams_[1].done;
}

bool Streams::run_something(const Clock& wanted) {
  bool may[2];
  for (std::size_t s = 0; s < 2; ++s) may[s] = streams_[s].done < wanted[s] && may_run(s);
  if (!may[0] && !may[1]) return false;
  const std::size_t compute = index(GpuStream::compute);
  const bool chosen = may[compute] && (!may[1 - compute] || chance(prefer_compute_));
  run_front(chosen ? compute : 1 - compute);
  return true;
}

void Streams::run_front(std::size_t s) {
  Stream& stream = streams_[s];
  const Waiting work = std::move(stream.waiting.front());
  stream.waiting.pop_front();
  try {
    if (work.run) work.run();
    stream.done = std::max(stream.done, work.number);
  } catch (...) {
    lose(std::current_exception());
  }
}

void Streams::run_until(Clock wanted) {
  // The events that it waits for are wanted, too.
  for (Clock before{}; before != wanted;) {
    before = wanted;
    for (std::size_t s = 0; s < 2; ++s)
      for (const Waiting& work : streams_[s].waiting)
        if (work.number <= before[s]) wanted = later(wanted, work.after);
  }
  while (streams_[0].done < wanted[0] || streams_[1].done < wanted[1])
    if (!run_something(chance(0.05) ? lasts() : wanted))
      fail(ExitCode::internal, "the emulated streams wait for each other");
}

void Streams::lose(std::exception_ptr failure) {
  if (!failure_) failure_ = std::move(failure);
  for (Stream& stream : streams_) {
    stream.waiting.clear();
    stream.done = stream.last;
  }
}

}  // namespace kindred::cuda::emulation
