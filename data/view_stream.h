// Which random numbers a view is drawn with. One place, so that whoever makes the view draws the same.
#pragma once

#include <kindred/engine/philox.h>

#include <cstdint>

namespace kindred {

// View `view` of `views` of a sample that comes for the `repeat`-th time (from 0) in the epoch: it must not get
// the same views again.
inline RandomStream view_stream(std::uint64_t seed, std::uint32_t epoch, std::uint32_t sample,
                                std::uint32_t repeat, std::size_t views, std::size_t view) {
  return {seed, Purpose::augment, epoch, sample, static_cast<std::uint32_t>(repeat * views + view)};
}

}  // namespace kindred
