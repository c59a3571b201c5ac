// Which other sizes of a run would fit into memory, and how that is said to the user.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/data/loading/picture_memory.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace kindred {

// Whether a run with these options fits. It may throw Error(usage, Cause::small_batch), which counts as no.
using FitsIntoMemory = std::function<bool(const PretrainOptions&)>;

// The largest multiple of `unit` from `least` on and below `below` that fits; 0 if there is none. Exact up to a 64th.
std::int64_t largest_multiple(std::int64_t unit, std::int64_t least, std::int64_t below,
                              const std::function<bool(std::int64_t)>& fits);

// What must divide a batch, of all processes together.
std::int64_t unit_of_batch(const PretrainOptions& options);
// A batch of 8 or more, rounded down to a multiple of 8.
std::int64_t in_eights(std::int64_t batch);

// What would fit, one change at a time. 0 or empty: nothing.
struct FittingSizes {
  std::optional<std::int64_t> workers{};  // fewer than were given
  std::int64_t batch = 0;
  std::int64_t micro_batch = 0;  // of the batch size that was given, or of each process's part of it
};

FittingSizes fitting_sizes(const PretrainOptions& options, const FitsIntoMemory& fits);

// What of a run needs room, in bytes.
struct NeededParts {
  std::size_t pictures = 0;     // while they are decoded
  std::size_t model = 0;        // parameters, gradients, optimizer state
  std::size_t activations = 0;  // of a step, with its batch
  std::size_t others = 0;       // threads, batches that are prepared, blocks that are free
};

// The room that there is for a run, and what its user can do about it.
struct RoomForRun {
  FitsIntoMemory fits{};
  FitsIntoMemory fits_without_pictures{};  // the same of a set whose pictures take no memory to decode
  PictureMemory largest{};                 // the largest picture
  std::function<NeededParts(const PretrainOptions&)> parts{};
  std::string limit{};  // advice_about_limit(), of the limit that leaves no more room
};

// "--workers 2 or --batch-size 8 should fit"; with no workers at all if one change alone does not help. If not even the smallest
// batch fits: what that takes, and what else can be smaller and would be enough. The limit is the last way out.
std::string advice_about_sizes(const PretrainOptions& options, const RoomForRun& room);

// The advice where memory ran out while pictures were loaded, although the run was expected to fit. It
// names no number for the batch size, which was found to fit.
std::string advice_about_loading(const PretrainOptions& options, const std::string& limit);

}  // namespace kindred
