// Defaults of pretrain that depend on the training images and on the device: the batch size, the model, and the
// size of its views.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/engine/device.h>

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>

namespace kindred {

// The usual batch size, which is that of `options`, or for a smaller set the largest that the set can fill: a
// multiple of --per-class and --micro-batch if there is one.
std::int64_t default_batch_size(const PretrainOptions& options, std::int64_t images);

struct ModelAndSize {
  std::string model;
  std::int64_t image_size = 0;  // side of a view in pixels
  bool operator==(const ModelAndSize&) const = default;
};

// A model that a CPU trains in hours, for pictures with this shorter side in pixels.
ModelAndSize default_on_cpu(std::int64_t short_side, std::int64_t images);

// The shorter side of the set's pictures in pixels: the median of a few of them, from their headers. 0 if none can
// be read.
std::int64_t typical_short_side(const Dataset& set);

// What PretrainFlags::resolve() takes as chosen. Prints a line for each value that differs from the usual default.
//   asked    what resolve() gave without it
//   earlier  config.json of the run that --resume continues, or null. If that run has one of the defaults for
//            model and size, they stay, even if the device or the size of the pictures has changed since.
// Model and images of a run with --weights are those of the file (weights_defaults.h).
GivenOptions choose_defaults(const PretrainFlags& flags, const PretrainOptions& asked, Device device,
                             const Dataset& train, const nlohmann::json& earlier);

}  // namespace kindred
