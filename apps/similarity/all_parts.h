// All images of what a user gives as DIR, part by part.
#pragma once

#include <kindred/apps/console/data_options.h>
#include <kindred/data/sets/dataset.h>

#include <string>
#include <vector>

namespace kindred {

// With --split or --val-fraction the part that they name (open_images()). Otherwise the images for training, validation and
// tests of a set that has such parts, without those that have no labels, about which a note is printed; and everything of what
// has no parts: class folders, a folder of images, a list, an image. Prints the notes. Throws Error(usage) and Error(data).
std::vector<Dataset> open_all_parts(const DataFlags& data);

// What the part is called in tables and on pages: "train", "val", "test", "held out", "all".
std::string name_of_part(const Dataset& part);

}  // namespace kindred
