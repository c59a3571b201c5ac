// The data of stage one, and the memory that it takes.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/data/loading/loader.h>
#include <kindred/data/loading/picture_memory.h>
#include <kindred/engine/communicator/communicator.h>

#include <cstddef>

namespace kindred {

// This process's share of the batches. Without the limit of unreadable images, which may be a share of a set (BatchSource).
LoaderOptions training_loader(const PretrainOptions& options, const Communicator& processes = world());

// Data sets up to this size stay on a GPU. Larger ones would take memory that a batch needs.
inline constexpr std::size_t most_resident_bytes = std::size_t{2} << 30;

std::int64_t steps_of_an_epoch(const PretrainOptions& options, const Dataset& train);

// The memory, in bytes, that measuring the nearest neighbours takes in addition to a step, while the training images'
// loader waits with its batches: the batches of a second one, and the features. 0 if they are never measured.
std::size_t memory_of_measuring(const PretrainOptions& options, std::int64_t training_images);

// The memory, in bytes, in which pictures are decoded. Each thread that loads may hold the largest one at the same time;
// if neighbours are measured, the threads of a second loader may, beside what those of the first one keep.
std::size_t memory_of_decoding(const PretrainOptions& options, const PictureMemory& largest);

// The bytes of decoded pictures that the training images' loader keeps for the next epoch: of all, up to its limit.
std::size_t memory_of_kept_pictures(const PretrainOptions& options, const Dataset& train,
                                    const MemoryOfPictures& pictures);

// How many of these bytes it keeps where `room` bytes are left for them: all that are `wanted`; or half of the room, so
// that a run whose memory is short does not take the last of it.
std::size_t picture_cache_within(std::size_t wanted, std::size_t room);

// The memory, in bytes, that the process needs in addition to the step and to memory_of_kept_pictures(): what it uses
// now, the batches that the loader holds, memory_of_decoding(), memory_of_measuring(), and the copy of `parameters`
// values from which a checkpoint is written.
std::size_t other_memory(const PretrainOptions& options, const Dataset& train, const PictureMemory& largest,
                         std::int64_t parameters);

// Throws Error(usage) if there are too few training images for a batch. Prints whether anchors will have positives.
void check_training_set(const PretrainOptions& options, const Dataset& train);

}  // namespace kindred
