// How long something has taken.
#pragma once

#include <chrono>

namespace kindred {

// Seconds from `start` until now, by a clock that never goes back.
inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace kindred
