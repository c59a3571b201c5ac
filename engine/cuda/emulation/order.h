// The streams of the emulated GPU: the work that waits in them, and the order in which it runs. Everything
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

constexpr std::size_t stream_count = 3;  // of GpuStream

// How far each stream has come: the number of its last piece of work.
using Clock = std::array<std::uint64_t, stream_count>;

Clock later(const Clock& a, const Clock& b);  // the later number of each stream

struct Event {
  enum { never, recorded, in_recording } state = never;
  GpuStream stream = GpuStream::compute;
  Clock clock{};                // the work that is done when the event has passed
  std::uint64_t recording = 0;  // of in_recording: the recording's serial number,
  std::size_t number = 0;       // and the event's number in it
};

inline std::size_t index(GpuStream stream) {
  return static_cast<std::size_t>(stream);
}

// The texts by which error messages name a stream and a piece of work.
const char* name_of(std::size_t stream);
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
  Clock lasts() const;
  bool is_done(const Event& event) const;

  // Throws the error of work that failed after it was started.
  void throw_failure() const;
  // For a call that waits for everything: throws the error and clears it.
  void throw_and_forget();

  // See DeviceKernels::watch_waits.
  void watch_waits(std::function<void(double)> look) { look_ = std::move(look); }

 private:
  struct Waiting {
    std::uint64_t number;
    std::function<void()> run;  // empty if the entry only waits for `after`
    std::function<bool()> is_ready;
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
    std::deque<Started> unordered;  // what may still overlap with work of another stream
  };

  static Clock clock_of(std::size_t on, std::uint64_t number);

  // Draws how much work runs before anybody waits for it, and which stream is faster.
  void draw_mood();
  bool chance(double of_one);
  // Everything that other streams still have to do may overlap with `work`. Fails if the two use the same memory.
  void check_order(const Work& work, std::size_t on, const Clock& before);
  // Drops what all other streams, and the host, have waited for.
  void forget_ordered(std::size_t s);
  bool may_run(std::size_t s) const;
  // Runs one piece of work, drawn from those that may run and that are needed to reach `wanted`. Returns false
  // if there is none.
  bool run_something(const Clock& wanted);
  void run_front(std::size_t s);
  void run_until(Clock wanted);
  // Whether the front of a stream waits for other processes.
  bool waits_for_others() const;
  // Drops all work that was started: after an error on a GPU none of it can be relied on.
  void lose(std::exception_ptr failure);

  std::array<Stream, stream_count> streams_;
  Clock host_{};  // what the host has waited for
  std::exception_ptr failure_;
  std::function<void(double)> look_;
  std::mt19937_64 random_;
  bool at_once_ = false, latest_ = false;
  double eagerness_ = 0, prefer_compute_ = 0.5;
};

}  // namespace kindred::cuda::emulation
