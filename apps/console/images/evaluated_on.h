// What a figure is of: how many images, and where they are from. It is printed and stored with the figure.
#pragma once

#include <kindred/data/sets/dataset.h>

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>

namespace kindred {

// {"folder": "DIR/val", "images": 40, "split": "val"}: `images` images of `set` (Dataset::origin).
nlohmann::json evaluated_on(const Dataset& set, std::int64_t images);

// "40 images (val)": tells such sets apart, wherever their folder is.
std::string images_of_part(const Dataset& set);

// Prints "evaluated on 40 images of DIR/val (val)".
void print_evaluated_on(const Dataset& set, std::int64_t images);

}  // namespace kindred
