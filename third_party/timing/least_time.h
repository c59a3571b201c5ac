// How long a GPU takes for something, from measurements that disturb it.
//
// The time between two events around some work contains the time of the work. If the stream is idle, it also
// contains the host's time to start the work, which is more than a kernel of a few microseconds takes, and
// which differs from run to run. So the GPU is first given other work that lasts until everything has been
// queued. Short work is repeated several times between the events.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>

namespace kindred {

struct TimedRuns {
  float on_gpu;   // milliseconds between the events, for all runs
  float on_host;  // milliseconds that the host took to start them
};

// `time_of(runs, busy)` keeps the GPU busy for `busy` milliseconds and then times `runs` runs. Returns the
// milliseconds of one run: the least of three measurements. Each lasts at least a tenth of a millisecond if 20
// runs take that long.
inline float least_time(const std::function<TimedRuns(int runs, float busy)>& time_of) {
  constexpr float longest_wait = 5, enough = 0.1f;
  constexpr int most_runs = 20;
  const TimedRuns first = time_of(1, 0.3f);
  const float wanted = std::ceil(enough / std::max(first.on_gpu, 1e-6f));
  const int runs = static_cast<int>(std::clamp(wanted, 1.0f, static_cast<float>(most_runs)));
  float least = HUGE_VALF, starting = first.on_host;
  for (int repeat = 0; repeat < 3; ++repeat) {
    const float busy = std::min(longest_wait, 0.1f + 1.5f * starting * static_cast<float>(runs));
    const TimedRuns timed = time_of(runs, busy);
    least = std::min(least, timed.on_gpu / static_cast<float>(runs));
    starting = std::min(starting, timed.on_host / static_cast<float>(runs));
  }
  return least;
}

}  // namespace kindred
