// The random numbers that a view is drawn with. This is in one place, so that all code that makes a view draws
// the same numbers.
#pragma once

#include <kindred/engine/random/philox.h>

#include <cstdint>

namespace kindred {

// The stream of view `view` of `views`, of a sample that occurs for the `repeat`-th time (from 0) in the epoch.
// A repeated sample must not get the same views again.
inline RandomStream view_stream(std::uint64_t seed, std::uint32_t epoch, std::uint32_t sample,
                                std::uint32_t repeat, std::size_t views, std::size_t view) {
  return {seed, Purpose::augment, epoch, sample, static_cast<std::uint32_t>(repeat * views + view)};
}

}  // namespace kindred
