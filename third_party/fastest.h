// Choosing among the ways that a library offers for one computation, on a GPU that may be full.
#pragma once

#include <kindred/engine/error.h>

#include <cstddef>
#include <optional>

namespace kindred {

struct Fastest {
  std::size_t index;
  bool timed;  // false: the first that was offered, as there was no memory to time them in
};

// The fastest of `count` ways, the library's best guess first; nothing where none of them runs.
// `make_scratch()` gives the memory to run them on, and `time_of(scratch, i)` milliseconds, or nothing where
// way i does not run. Both may throw OutOfMemory: a batch can fill the GPU, and then the best guess is taken.
// What was not timed should not be remembered: the next program may have the room.
template <typename MakeScratch, typename TimeOf>
std::optional<Fastest> fastest_of(std::size_t count, const MakeScratch& make_scratch, const TimeOf& time_of) {
  if (count == 0) return {};
  std::optional<Fastest> best;
  bool is_full = false;
  float least = 0;
  try {
    const auto scratch = make_scratch();
    for (std::size_t i = 0; i < count; ++i) {
      std::optional<float> time;
      try {
        time = time_of(scratch, i);
      } catch (const OutOfMemory&) {  // its workspace did not fit, another's may
        is_full = true;
      }
      if (!time || (best && *time >= least)) continue;
      least = *time;
      best = Fastest{i, true};
    }
  } catch (const OutOfMemory&) {
    is_full = true;
  }
  if (!best && is_full) best = Fastest{0, false};
  return best;
}

}  // namespace kindred
