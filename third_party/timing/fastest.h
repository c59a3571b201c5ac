// Selects the fastest of the ways that a library offers for one computation, on a GPU that may be full.
#pragma once

#include <kindred/engine/error.h>

#include <cstddef>
#include <optional>

namespace kindred {

struct Fastest {
  std::size_t index;
  bool timed;  // false: it is the first one offered, because there was no memory for timing
};

// Returns the fastest of `count` ways, of which the first is the library's best guess, or nullopt if none of
// them runs. `make_scratch()` returns the memory to run them on. `time_of(scratch, i)` returns milliseconds, or
// nullopt if way i does not run. Both may throw OutOfMemory, because a batch can fill the GPU; then the best
// guess is used. A result that was not timed should not be stored, because the next program may have enough
// memory.
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
      } catch (const OutOfMemory&) {  // its workspace did not fit; that of another may
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
