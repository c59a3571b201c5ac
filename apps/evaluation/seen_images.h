// Whether an encoder or a classifier was trained on the images that it is evaluated on.
#pragma once

#include <kindred/data/sets/dataset.h>
#include <kindred/models/classifier_file.h>
#include <kindred/models/encoder_file.h>

#include <optional>
#include <string>
#include <vector>

namespace kindred {

// What an encoder or a classifier that is trained on these images says about them in its file.
std::optional<HeldOutImages> held_out_of(const Dataset& train);

// A line that begins with "warning: " if `evaluation` was held out of the training images of a set, also when a pack was
// made of it, and the encoder's file does not say that these images were held out of its own training too: they were if
// the seed is the same and no class has more of them now; of a pack also what was held out when it was made.
// Also if `evaluation` is all images of a set, and the encoder was trained on a part of one, or on all of these images.
// What is not true of the encoder may be true of those that it began with (EncoderInfo::trained_before): then the line
// says so. Otherwise empty. `what` is how the line calls the encoder.
std::string seen_images_warning(const EncoderInfo& encoder, const Dataset& evaluation,
                                const std::string& what = "encoder");

// The same lines about an encoder and the classifier that it is used with. `encoder` is null if nobody knows what it was
// trained on. A classifier that does not say it gives no line: it may be of an earlier version, or of a set that has
// images for evaluation of its own. What is true of both is said of the encoder alone.
std::vector<std::string> seen_images_warnings(const EncoderInfo* encoder, const Classifier& classifier,
                                              const Dataset& evaluation);

}  // namespace kindred
