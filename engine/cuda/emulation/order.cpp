#include <kindred/engine/cuda/emulation/order.h>
#include <kindred/engine/cuda/emulation/places.h>
#include <kindred/engine/cuda/emulation/threads.h>
#include <kindred/engine/error.h>
#include <kindred/engine/seconds_since.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

namespace kindred::cuda::emulation {
namespace {

constexpr std::size_t most_waiting = 4096;  // per stream; then the host waits for the first one, as on a GPU

using Time = std::chrono::steady_clock;

}  // namespace

Clock later(const Clock& a, const Clock& b) {
  Clock result{};
  std::transform(a.begin(), a.end(), b.begin(), result.begin(),
                 [](std::uint64_t x, std::uint64_t y) { return std::max(x, y); });
  return result;
}

const char* name_of(std::size_t stream) {
  if (stream == index(GpuStream::copy)) return "copies' stream";
  return stream == index(GpuStream::communicate) ? "communication's stream" : "compute stream";
}

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
  Turn turn = work.put();
  stream.last = number;
  if (!work.uses.empty())
    stream.unordered.push_back({number, std::move(work.name), work.kernel, std::move(work.uses)});
  stream.waiting.push_back({number, std::move(turn.run), std::move(turn.is_ready), {}});
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
      {++stream.last, {}, {}, clock_of(index(event.stream), event.clock[index(event.stream)])});
  if (at_once_) run_until(lasts());
}

void Streams::wait_on_host(const Clock& clock) {
  host_ = later(host_, clock);
  run_until(clock);
  for (std::size_t s = 0; s < streams_.size(); ++s) forget_ordered(s);
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

Clock Streams::lasts() const {
  Clock clock{};
  std::transform(streams_.begin(), streams_.end(), clock.begin(), [](const Stream& s) { return s.last; });
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
  for (std::size_t other = 0; other < streams_.size(); ++other) {
    if (other == on) continue;
    forget_ordered(other);
    const auto& unordered = streams_[other].unordered;
    auto started = std::upper_bound(unordered.begin(), unordered.end(), before[other],
                                    [](std::uint64_t number, const Started& s) { return number < s.number; });
    for (; started != unordered.end(); ++started)
      for (const Use& a : started->uses)
        for (const Use& b : work.uses)
          if (conflict(a, b))
            fail(ExitCode::internal,
                 "{} on the {} and {} on the {} use the same memory, one of them writes, and no event is "
                 "waited for between them",
                 describe(started->name, started->kernel), name_of(other), describe(work.name, work.kernel),
                 name_of(on));
  }
}

void Streams::forget_ordered(std::size_t s) {
  std::uint64_t ordered = streams_[s].last;
  for (std::size_t other = 0; other < streams_.size(); ++other)
    if (other != s) ordered = std::min(ordered, std::max(streams_[other].known[s], host_[s]));
  auto& unordered = streams_[s].unordered;
  while (!unordered.empty() && unordered.front().number <= ordered) unordered.pop_front();
}

bool Streams::may_run(std::size_t s) const {
  const Stream& stream = streams_[s];
  if (stream.waiting.empty()) return false;
  const Waiting& work = stream.waiting.front();
  for (std::size_t other = 0; other < streams_.size(); ++other)
    if (work.after[other] > streams_[other].done) return false;
  return !work.is_ready || work.is_ready();
}

bool Streams::run_something(const Clock& wanted) {
  const std::size_t compute = index(GpuStream::compute);
  const auto may = [&](std::size_t s) { return streams_[s].done < wanted[s] && may_run(s); };
  const bool compute_may = may(compute);
  std::array<std::size_t, stream_count> others{};
  std::size_t count = 0;
  for (std::size_t s = 0; s < streams_.size(); ++s)
    if (s != compute && may(s)) others[count++] = s;
  if (!compute_may && count == 0) return false;
  if (compute_may && (count == 0 || chance(prefer_compute_)))
    run_front(compute);
  else
    run_front(others[count == 1 || latest_ ? 0 : random_() % count]);
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
    for (std::size_t s = 0; s < streams_.size(); ++s)
      for (const Waiting& work : streams_[s].waiting)
        if (work.number <= before[s]) wanted = later(wanted, work.after);
  }
  const auto is_reached = [&] {
    for (std::size_t s = 0; s < streams_.size(); ++s)
      if (streams_[s].done < wanted[s]) return false;
    return true;
  };
  Time::time_point begun = Time::now();
  while (!is_reached()) {
    // Where nothing that is wanted can run, other streams may: other processes may wait for what they send.
    if (run_something(chance(0.05) ? lasts() : wanted) || run_something(lasts())) {
      begun = Time::now();
      continue;
    }
    check(waits_for_others(), ExitCode::internal, "the emulated streams wait for each other");
    std::this_thread::sleep_for(std::chrono::microseconds(50));
    try {
      if (look_) look_(seconds_since(begun));
    } catch (...) {
      lose(std::current_exception());
    }
  }
}

bool Streams::waits_for_others() const {
  return std::any_of(streams_.begin(), streams_.end(),
                     [](const Stream& s) { return !s.waiting.empty() && s.waiting.front().is_ready; });
}

void Streams::lose(std::exception_ptr failure) {
  if (!failure_) failure_ = std::move(failure);
  for (Stream& stream : streams_) {
    stream.waiting.clear();
    stream.done = stream.last;
  }
}

}  // namespace kindred::cuda::emulation
