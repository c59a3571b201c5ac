// Work that waits in the two streams of the emulated GPU, and the order in which it is done: what emulated_streams.h
// promises, but for recordings.
#pragma once

#include <kindred/engine/cuda/emulated_streams.h>

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

// How far each stream had come: the number of the last piece of work.
using Clock = std::array<std::uint64_t, 2>;

struct Event {
  enum { never, recorded, in_recording } state = never;
  GpuStream stream = GpuStream::compute;
  Clock clock{};  // what is done when the event has passed
};

inline std::size_t index(GpuStream stream) {
  return static_cast<std::size_t>(stream);
}

// How errors name a piece of work.
std::string describe(const std::string& name, const void* kernel);

// A stream is named by its index().
class Streams {
 public:
  Streams();  // as draw_order(seed()) leaves it

  std::recursive_mutex mutex;  // whoever calls holds it

  void draw_order(std::uint64_t seed);
  void run_at_once();

  void put(Work work, std::size_t on);

  void record(Event& event, std::size_t on);
  void wait_on_gpu(const Event& event, std::size_t on);
  // The host knows then what `clock` says.
  void wait_on_host(const Clock& clock);
  // All that was put into `on`, and what that waits for.
  Clock clock_of(std::size_t on) const;
  Clock lasts() const { return {streams_[0].last, streams_[1].last}; }
  bool is_done(const Event& event) const;

  // The error of work that ran late.
  void throw_failure() const;
  // For who waited for all: the error is told and over.
  void throw_and_forget();

 private:
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

  static Clock clock_of(std::size_t on, std::uint64_t number);

  // How much runs before anybody waits for it, and which stream is the faster.
  void draw_mood();
  bool chance(double of_one);
  // Whatever the other stream has under way is unordered with `work`, and must not meet it.
  void check_order(const Work& work, std::size_t on, const Clock& before);
  bool may_run(std::size_t s) const;
  // A piece of work among those that may run and are needed to come as far as `wanted`; false where there is
  // none.
  bool run_something(const Clock& wanted);
  void run_front(std::size_t s);
  void run_until(Clock wanted);
  // As after an error on a GPU, nothing of what was started can be counted on.
  void lose(std::exception_ptr failure);

  std::array<Stream, 2> streams_;
  Clock host_{};  // what the host has waited for
  std::exception_ptr failure_;
  std::mt19937_64 random_;
  bool at_once_ = false, latest_ = false;
  double eagerness_ = 0, prefer_compute_ = 0.5;
};

}  // namespace kindred::cuda::emulation
