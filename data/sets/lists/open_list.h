// A folder of images, with a list that gives their labels.
#pragma once

#include <kindred/data/sets/dataset_sources.h>

#include <optional>

namespace kindred::detail {

// Opens the images of request.dir that request.list names (label_rows.h). The classes are the labels of the training
// images: sorted by number if all are whole numbers, otherwise by their bytes. Images are sorted by class, then by
// path, so their order in the list does not matter. Without a column for the split all images are for training, and
// there is nothing to evaluate on. Throws Error(data).
std::optional<Dataset> open_list(const OpenRequest& request);

}  // namespace kindred::detail
