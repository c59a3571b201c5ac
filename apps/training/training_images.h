// The images of a run: those of a data set, or for a loss that reads no labels any folder of images.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/data/sets/dataset.h>

#include <optional>

namespace kindred {

// Opens the training images and prints their notes. If DIR, or its folder for training, holds images but no classes,
// all of them have one label, and a loss that needs labels ends with an error that names one that does not. Throws
// Error(usage) and Error(data).
Dataset open_training_images(const PretrainOptions& options);

// Opens the images that the run is evaluated on and prints their notes, and how many there are. Returns nullopt if there
// are none, and for images without classes; a line says so.
std::optional<Dataset> open_evaluation_images(const PretrainOptions& options, const Dataset& train);

}  // namespace kindred
