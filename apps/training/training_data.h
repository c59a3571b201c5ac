// The data of stage one, and the memory that it takes.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/data/loading/loader.h>

#include <cstddef>

namespace kindred {

// Without the limit of unreadable images, which may be a share of a set (BatchSource).
LoaderOptions training_loader(const PretrainOptions& options);

// Data sets up to this size stay on a GPU. Larger ones would take memory that a batch needs.
inline constexpr std::size_t most_resident_bytes = std::size_t{2} << 30;

std::int64_t steps_of_an_epoch(const PretrainOptions& options, const Dataset& train);

// The memory, in bytes, that measuring the nearest neighbours takes in addition to a step, while the training images'
// loader waits with its batches: the batches of a second one, and the features. 0 if they are never measured.
std::size_t memory_of_measuring(const PretrainOptions& options, std::int64_t training_images);

// The memory, in bytes, that the process needs in addition to the step: what it uses now, the batches and
// images that the loader holds, memory_of_measuring(), and the copy of `parameters` values from which a checkpoint is
// written.
std::size_t other_memory(const PretrainOptions& options, const Dataset& train, std::int64_t parameters);

// Throws Error(usage) if there are too few training images for a batch. Prints whether anchors will have positives.
void check_training_set(const PretrainOptions& options, const Dataset& train);

}  // namespace kindred
