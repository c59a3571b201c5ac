// What a run prints about the positives of its anchors.
#pragma once

#include <string>

namespace kindred {

struct PositiveStatistics;  // data/loading/sampler.h

// What would give many anchors more positives.
struct MorePositives {
  bool per_class = true, batch_size = true;  // by these flags
};

// "an anchor has 3.4 positives in a batch, on average". A warning line follows if many anchors have only their
// own other views as positives, or none at all.
std::string describe(const PositiveStatistics& positives, int views, const MorePositives& more = {});

}  // namespace kindred
