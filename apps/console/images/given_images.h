// The images that a program uses without training on them: a part of a data set, or images that are no set.
#pragma once

#include <kindred/apps/console/data_options.h>
#include <kindred/data/sets/dataset.h>

#include <string>
#include <vector>

namespace kindred {

// DIR for evaluate: the part of a set that --split names, by default what a run is evaluated on; or all images of
// class folders that have no parts, if neither --split nor --val-fraction asks for a part. Prints the notes of the set.
// Throws Error(usage) and Error(data).
Dataset open_labelled(const DataFlags& data);

// DIR for embed: as above, but a part of a set whose images have no labels is taken without classes; or a folder of images,
// a list of paths (a file whose name ends in .txt), or an image, which have no parts: --split and --val-fraction are errors
// then. Images beside two or more class folders are left out with a note; those beside a single folder and those in it are
// used without classes.
Dataset open_images(const DataFlags& data);

// IMAGE ... for classify: image files; folders stand for all images below them, at any depth, and lists (.txt) for their
// lines. Throws Error(data) for a folder without images.
std::vector<std::string> image_paths(const std::vector<std::string>& given);

}  // namespace kindred
