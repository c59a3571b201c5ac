// The two streams of the emulated GPU: the work that waits in them, and the order in which it runs. Everything
// that streams.h promises is done here, except recordings.
#pragma once

#include <kindred/engine/cuda/emulation/streams.h>

#include <array>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <random>
#include <string>
#include <vector>

namespace kindred::cuda::emulation {

// How far each stream has come: the number of its last piece of work.
using Clock = std::array<std::uint64_t, 2>;

struct Event {
  enum { never, recorded, in_recording } state = never;
  GpuStream stream = GpuStream::compute;
  Clock clock{};  // the work that is done when the event has passed
};

inline std::size_t index(GpuStream stream) {
  return static_cast<std::size_t>(stream);
}

// The text by which error messages name a piece of work.
std::string describe(const std::string& name, const void* kernel);

// Methods identify a stream by its index().
class Streams {
 public:
  Streams();  // sets the order as draw_order(seed()) does

  std::recursive_mutex mutex;  // the caller holds it during every call

  void draw_order(std::uint64_t seed);
  void run_at_once();

  void put(Work work, std::size_t on);

  void record(Event& event, std::size_t on);
  void wait_on_gpu(const Event& event, std::size_t on);
  // Afterwards the host has waited for everything up to `clock`.
  void wait_on_host(const Clock& clock);
  // Covers all work put into stream `on`, and all work that it waits for.
  Clock clock_of(std::size_t on) const;
  Clock lasts() const { return {streams_[0].last, streams_[1].last}; }
  bool is_done(const Event& event) const;

  // Throws the error of work that failed after it was started.
  void throw_failure() const;
  // For a call that waits for everything: throws the error and clears it.
  void throw_and_forget();

 private:
  struct Waiting {
    std::uint64_t number;
    std::function<void()> run;  // empty if the entry only waits for `after`
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
    Clock known{};                  // what is done before any work that is put in from now on
    std::deque<Started> unordered;  // what may still overlap with work of the other stream
  };

  static Clock clock_of(std::size_t on, std::uint64_t number);

  // Draws how much work runs before anybody waits for it, and which stream is faster.
  void draw_mood();
  bool chance(double of_one);
  // Everything that the other stream still has to do may overlap with `work`. Fails if the two use the same
  // memory.
  void check_order(const Work& work, std::size_t on, const Clock& before);
  bool may_run(std::size_t s) const;
  // Runs one piece of work, drawn from those that may run and that are needed to reach `wanted`. Returns false
  // if there is none.
  bool run_something(const Clock& wanted);
  void run_front(std::size_t s);
  void run_until(Clock wanted);
  // Drops all work that was started: after an error on a GPU none of it can be relied on.
  void lose(std::exception_ptr failure);

  std::array<Stream, 2> streams_;
  Clock host_{};  // what the host has waited for
  std::exception_ptr failure_;
  std::mt19937_64 random_;
  bool at_once_ = false, latest_ = false;
  double eagerness_ = 0, prefer_compute_ = 0.5;
};

}  // namespace kindred::cuda::emulation
