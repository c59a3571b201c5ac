// Whether two sets are of the same images.
#pragma once

#include <kindred/data/sets/dataset.h>

#include <string>

namespace kindred {

// A fingerprint of a data set, as 16 hexadecimal digits. It covers classes, labels and the file names without
// their folder, so it does not change if the set is moved or packed. Of a list of images it covers their paths as in
// the list; so a pack of them has another one.
std::string data_fingerprint(const Dataset& dataset);

}  // namespace kindred
