// What stage one asks of its data, and what holding them takes.
#pragma once

#include <kindred/apps/common/pretrain_options.h>
#include <kindred/data/loader.h>

#include <cstddef>

namespace kindred {

LoaderOptions training_loader(const PretrainOptions& options);

// Data sets up to this size stay on a GPU; larger ones would take what a batch needs.
inline constexpr std::size_t most_resident_bytes = std::size_t{2} << 30;

std::int64_t steps_of_an_epoch(const PretrainOptions& options, const Dataset& train);

// Bytes that the process needs besides the step: itself as it is now, the batches and images that the loader
// holds, and the copy of `parameters` values that a checkpoint is written from.
std::size_t other_memory(const PretrainOptions& options, const Dataset& train, std::int64_t parameters);

// The training images; prints whether anchors will have positives. Error(usage) where they do not fill a batch.
Dataset open_training_set(const PretrainOptions& options);

}  // namespace kindred
