// What a recording of the emulated GPU holds, and the rules by which streams become part of it (streams.h).
#pragma once

#include <kindred/engine/cuda/emulation/order.h>

#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace kindred::cuda::emulation {

struct Recorded {
  // Work, or an event of the recording that a stream marks or waits for.
  struct Step {
    enum Kind : std::uint8_t { work, mark, wait } kind;
    GpuStream stream;
    Work what;              // of `work`
    std::size_t event = 0;  // its number, of the others
  };
  std::vector<Step> steps;        // in the order of the calls
  std::size_t events = 0;         // how many
  std::uint64_t first_block = 0;  // the newest block when the recording began
};

// A recording in progress. A call that cannot be part of it throws, and the recording is then invalid, even if the error
// is caught. The caller holds the mutex of its GPU's streams.
class Recorder {
 public:
  Recorder();  // of the calling thread

  bool is_of_this_thread() const { return thread_ == std::this_thread::get_id(); }

  void start(Work work, GpuStream stream);
  void mark(Event& event, GpuStream stream);
  void wait(const Event& event, GpuStream stream);

  // The recording is invalid from now on. Returns the text of the error to throw.
  std::string spoil(const std::string& what);
  // Throws an error if the recording is invalid, or if work of a stream was not waited for on the compute stream.
  Recorded end() &&;

 private:
  void check_part(GpuStream stream, const char* what);
  [[noreturn]] void refuse(const std::string& what);

  std::thread::id thread_;
  std::uint64_t serial_;  // of this recording, which its events carry
  Recorded recorded_;
  std::string spoilt_;
  // As in Streams: how much each stream has been given, and what is done before any work that it is given next.
  Clock last_{};
  std::array<Clock, stream_count> known_{};
  std::array<bool, stream_count> is_part_{};
};

}  // namespace kindred::cuda::emulation
