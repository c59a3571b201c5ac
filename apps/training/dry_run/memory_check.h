// Whether a run fits into memory, and if not, which smaller batch would. predict_memory() says what a run takes.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/engine/device.h>
#include <kindred/engine/error.h>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace kindred {

// The largest batch, in images, whose training step fits into `bytes` of the device's memory: a multiple of 8
// if possible, otherwise any number that --per-class and --micro-batch divide. 0 if not even the smallest fits.
std::int64_t largest_batch(PretrainOptions options, Device device, std::size_t bytes, int classes = 2);

// Throws Error(device) if training on the host takes more memory than is available
// (apps/console/process_memory.h), or more addresses than `ulimit -v` or `ulimit -d` leaves (address_space.h). The line says
// what is needed, what is available, which --workers, --batch-size or --micro-batch should fit or what else helps
// (fitting_sizes.h), and which limit is in force; or that the threads get no stacks. Does nothing for a GPU, or if it is not
// known what is available. Takes no memory for tensors, and writes nothing. Throws Error(usage) for options that every step
// would refuse, as for images that are too small for the network.
//
// Decoded pictures that are kept for the next epoch are not needed. Returns how many bytes of them may be kept
// (PretrainOptions::picture_cache), and prints a line, if not as many as usual fit; otherwise nothing.
//
// `sharing` processes of the run share this machine's memory, each with its part of a batch.
std::optional<std::size_t> check_memory(const PretrainOptions& options, Device device, const Dataset& train,
                                        int sharing = 1);

// Rethrows `error` with the same advice, for the memory that is free now that the run has ended. If memory ran out while
// pictures were loaded, the advice is fewer --workers or smaller pictures.
[[noreturn]] void explain_out_of_memory(const OutOfMemory& error, const PretrainOptions& options, Device device,
                                        const Dataset& train, int sharing = 1);

}  // namespace kindred
