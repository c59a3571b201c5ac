#include <kindred/engine/cuda/emulated_streams.h>
#include <kindred/engine/cuda/emulation_places.h>
#include <kindred/engine/cuda/emulation_threads.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <utility>

namespace kindred::cuda::emulation {

// How far each stream had come: the number of the last piece of work.
using Clock = std::array<std::uint64_t, 2>;

struct Event {
  enum { never, recorded, in_recording } state = never;
  GpuStream stream = GpuStream::compute;
  Clock clock{};  // what is done when the event has passed
};

struct Recorded {
  std::vector<Work> work;
  std::uint64_t first_block = 0;  // the newest when it began
};

namespace {

constexpr std::size_t most_waiting = 4096;  // in a stream; then the host waits for the first, as on a GPU

std::string describe(const std::string& name, const void* kernel) {
  return kernel == nullptr ? name : "the kernel " + kernel_name(kernel);
}

struct Waiting {
  std::uint64_t number;
  std::function<void()> run;  // nothing where it only waits for `after`
  Clock after{};
};

struct Started {
  std::uint64_t number;
  std::string name;
  const void* kernel;
  std::vector<Use> uses;
};

struct Stream {
  std::deque<Waiting> waiting;
  std::uint64_t last = 0, done = 0;
  Clock known{};                  // what is done before what is put in from now on
  std::deque<Started> unordered;  // what work of the other stream may still meet
};

Clock later(const Clock& a, const Clock& b) {
  return {std::max(a[0], b[0]), std::max(a[1], b[1])};
}

std::size_t index(GpuStream stream) {
  return static_cast<std::size_t>(stream);
}

const char* name_of(std::size_t stream) {
  return stream == index(GpuStream::copy) ? "copies' stream" : "compute stream";
}

class Streams {
 public:
  Streams() { draw_order(seed()); }

  std::recursive_mutex mutex;

  void draw_order(std::uint64_t seed) {
    at_once_ = false;
    latest_ = seed == 0;
    random_.seed(seed);
    draw_mood();
  }
  void run_at_once() {
    at_once_ = true;
    run_until(lasts());
  }

  void put(Work work, std::size_t on) {
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

  void record(Event& event, std::size_t on) {
    event.state = Event::recorded;
    event.stream = static_cast<GpuStream>(on);
    event.clock = later(streams_[on].known, host_);
    event.clock[on] = streams_[on].last;
  }
  void wait_on_gpu(const Event& event, std::size_t on) {
    Stream& stream = streams_[on];
    stream.known = later(stream.known, event.clock);
    stream.waiting.push_back(
        {++stream.last, {}, clock_of(index(event.stream), event.clock[index(event.stream)])});
    if (at_once_) run_until(lasts());
  }
  // The host knows then what `clock` says.
  void wait_on_host(const Clock& clock) {
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
  // All that was put into `on`, and what that waits for.
  Clock clock_of(std::size_t on) const {
    Clock clock = streams_[on].known;
    clock[on] = streams_[on].last;
    return clock;
  }
  Clock lasts() const { return {streams_[0].last, streams_[1].last}; }
  bool is_done(const Event& event) const {
    return streams_[index(event.stream)].done >= event.clock[index(event.stream)];
  }

  void throw_failure() const {
    if (failure_) std::rethrow_exception(failure_);
  }
  // For who waited for all: the error is told and over.
  void throw_and_forget() {
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

 private:
  static Clock clock_of(std::size_t on, std::uint64_t number) {
    Clock clock{};
    clock[on] = number;
    return clock;
  }

  // How much runs before anybody waits for it, and which stream is the faster.
  void draw_mood() {
    constexpr double eagernesses[] = {0, 0, 0, 0.05, 0.5}, preferences[] = {0.1, 0.5, 0.9};
    eagerness_ = latest_ ? 0 : eagernesses[random_() % std::size(eagernesses)];
    prefer_compute_ = preferences[random_() % std::size(preferences)];
  }
  bool chance(double of_one) {
    return !latest_ && static_cast<double>(random_() >> 11) < of_one * 9007199254740992.0;
  }

  // Whatever the other stream has under way is unordered with `work`, and must not meet it.
  void check_order(const Work& work, std::size_t on, const Clock& before) {
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

  bool may_run(std::size_t s) const {
    const Stream& stream = streams_[s];
    if (stream.waiting.empty()) return false;
    const Clock& after = stream.waiting.front().after;
    return after[0] <= streams_[0].done && after[1] <= streams_[1].done;
  }

  // A piece of work among those that may run and are needed to come as far as `wanted`; false where there is
  // none.
  bool run_something(const Clock& wanted) {
    bool may[2];
    for (std::size_t s = 0; s < 2; ++s) may[s] = streams_[s].done < wanted[s] && may_run(s);
    if (!may[0] && !may[1]) return false;
    const std::size_t compute = index(GpuStream::compute);
    const bool chosen = may[compute] && (!may[1 - compute] || chance(prefer_compute_));
    run_front(chosen ? compute : 1 - compute);
    return true;
  }

  void run_front(std::size_t s) {
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

  void run_until(Clock wanted) {
    // What it waits for is wanted, too.
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

  // As after an error on a GPU, nothing of what was started can be counted on.
  void lose(std::exception_ptr failure) {
    if (!failure_) failure_ = std::move(failure);
    for (Stream& stream : streams_) {
      stream.waiting.clear();
      stream.done = stream.last;
    }
  }

  std::array<Stream, 2> streams_;
  Clock host_{};  // what the host has waited for
  std::exception_ptr failure_;
  std::mt19937_64 random_;
  bool at_once_ = false, latest_ = false;
  double eagerness_ = 0, prefer_compute_ = 0.5;
};

// The recording that is made, and by whom.
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

// Errors that nobody waited for.
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
