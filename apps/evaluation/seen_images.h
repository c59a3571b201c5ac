// Whether an encoder was trained on the images that it is evaluated on.
#pragma once

#include <kindred/apps/console/data_options.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/models/encoder_file.h>

#include <string>

namespace kindred {

// A line that begins with "warning: " if `evaluation` was held out of the training images of a set, and the encoder's
// file does not say that these images were held out of its own training too: they were if seed and share are the same,
// or the share was larger. Also if `evaluation` is all images of a set and the encoder was trained on a part of one.
// Otherwise empty.
std::string seen_images_warning(const EncoderInfo& encoder, const DataFlags& data, const Dataset& evaluation);

}  // namespace kindred
