// A part of a data set, as a data set. It keeps the class names and the order of the samples.
#pragma once

#include <kindred/data/sets/dataset.h>

#include <cstdint>
#include <vector>

namespace kindred {

// The samples at the given indices.
Dataset subset(const Dataset& whole, std::vector<std::int64_t> chosen);

// At most `count` samples at equal distances, so that every class of a sorted set keeps its share. Returns all
// samples if count is 0.
Dataset evenly_spread(const Dataset& whole, std::int64_t count);

// The first `count` samples of each class, count >= 1.
Dataset first_of_each_class(const Dataset& whole, std::int64_t count);

// One half of a stratified split: `split` is train or evaluation. The fraction `fraction` in (0, 1) of each class, rounded, is for evaluation:
// at least one sample but not all, and none if the class has only one sample. The choice depends on the seed,
// and on the number and size of the class. Throws Error(usage) if this leaves nothing to evaluate on.
Dataset held_out_split(const Dataset& whole, Split split, double fraction, std::uint64_t seed);

// How many of the `images` of a class that split holds out, for a fraction in (0, 1). With the same seed they are the first
// of one order, whatever the fraction: of two fractions the smaller number are some of the larger one.
std::int64_t held_out_of_class(std::int64_t images, double fraction);

}  // namespace kindred
