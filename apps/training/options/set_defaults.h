// Defaults of pretrain that depend on the training images and on the device: the batch size, the model, the size of its
// views, and the number of epochs.
#pragma once

#include <kindred/apps/training/options/cpu_defaults.h>
#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/engine/device.h>

#include <nlohmann/json_fwd.hpp>

#include <cstdint>

namespace kindred {

// The usual batch size, which is that of `options`, or for a smaller set the largest that the set can fill: a
// multiple of --per-class and --micro-batch if there is one. With several processes, the largest up to that of which each
// has an equal share.
std::int64_t default_batch_size(const PretrainOptions& options, std::int64_t images);

// The shorter side of the set's pictures in pixels: the median of a few of them, from their headers. 0 if none can
// be read.
std::int64_t typical_short_side(const Dataset& set);

// What PretrainFlags::resolve() takes as chosen. Prints a line for each value that differs from the usual default.
//   asked    what resolve() gave without it
//   earlier  config.json of the run that --resume continues, or null. If that run has one of the defaults for
//            model and size, they stay, and so does a number of epochs that can be chosen for them, even if the device,
//            its threads or the pictures have changed since.
// Model and images of a run with --weights are those of the file (weights_defaults.h).
GivenOptions choose_defaults(const PretrainFlags& flags, const PretrainOptions& asked, Device device,
                             const Dataset& train, const nlohmann::json& earlier);

}  // namespace kindred
