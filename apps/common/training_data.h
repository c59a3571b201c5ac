// What stage one asks of its data, and what holding them takes.
#pragma once

#include <kindred/apps/common/pretrain_options.h>
#include <kindred/data/loader.h>

#include <cstddef>
#include <string>

namespace kindred {

LoaderOptions training_loader(const PretrainOptions& options);

// Bytes that the process needs besides the step: itself as it is now, the batches and images that the loader
// holds, and the copy of `parameters` values that a checkpoint is written from.
std::size_t other_memory(const PretrainOptions& options, const Dataset& train, std::int64_t parameters);

// Before anything is trained: whether anchors will have positives.
std::string describe_positives(const PretrainOptions& options, const Dataset& train);

}  // namespace kindred
