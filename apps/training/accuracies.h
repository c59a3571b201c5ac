// Accuracies of the encoder during training.
#pragma once

#include <kindred/apps/training/learner.h>
#include <kindred/data/loading/loader.h>

#include <optional>

namespace kindred {

struct Accuracies {
  std::optional<double> neighbours;  // top-1 of the nearest training images, 0 to 1
  std::optional<double> probe;       // of the online probe, if there is one
};

// Measured without augmentation on at most `most_images` of each set, evenly spread over it, because each image
// needs a forward pass. Values are empty if no image could be read. If a signal interrupts the measurement,
// they are those of the images so far.
Accuracies measure_accuracies(Learner& learner, const PretrainOptions& options, Device device,
                              const Dataset& train, const Dataset& evaluation,
                              std::int64_t most_images = 10000);

}  // namespace kindred
