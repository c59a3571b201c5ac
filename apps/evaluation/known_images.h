// The images of a set that a classifier can be right about.
#pragma once

#include <kindred/data/sets/dataset.h>
#include <kindred/models/classifier_file.h>

#include <cstdint>
#include <string>
#include <vector>

namespace kindred {

struct KnownImages {
  Dataset set;                         // those of classes that the classifier has
  std::vector<std::string> unknown{};  // the names of the other classes that have images
  std::int64_t left_out = 0;           // how many images those have
};

// Prints a warning if images are left out. Throws Error(data) if all are.
KnownImages known_images(const Dataset& set, const Classifier& classifier);

}  // namespace kindred
