// A part of a data set, as a data set. Class names stay; the samples keep their order.
#pragma once

#include <kindred/data/dataset.h>

#include <cstdint>
#include <vector>

namespace kindred {

// The samples at the given places.
Dataset subset(const Dataset& whole, std::vector<std::int64_t> chosen);

// At most `count` samples at even distances, so that every class of a sorted set keeps its share; all when
// count is 0.
Dataset evenly_spread(const Dataset& whole, std::int64_t count);

// The first `count` samples of each class, count >= 1.
Dataset first_of_each_class(const Dataset& whole, std::int64_t count);

// One half of a stratified split: of each class, the share `fraction` in (0, 1) of its samples, rounded, but at
// least one and not all, is for evaluation; of a class with one sample, none. Which ones follows from the seed
// and from the class's number and size. Error(usage) when that leaves nothing to evaluate on.
Dataset held_out_split(const Dataset& whole, Split split, double fraction, std::uint64_t seed);

}  // namespace kindred
