// A folder of toy pictures: OUT/train/<class>/*.jpg and OUT/val/<class>/*.jpg, a quarter as many.
#pragma once

#include <cstdint>
#include <string>

namespace kindred {

struct ToySetOptions {
  int classes = 10;     // 2 to max_toy_classes
  int per_class = 200;  // training images; validation: a quarter of it, at least one
  int image_size = 64;  // 16 to 1024
  std::uint64_t seed = 1;
};

int toy_validation_images(const ToySetOptions& options);  // per class

// Draws the set. True: it was drawn; false: `out` holds a complete set of exactly these settings already, and
// is left alone. What tells so is a small file with the settings, written last. Error(usage) if an option is
// out of range or if `out` exists and holds anything else; Error(io) when writing fails.
bool make_toy_set(const std::string& out, const ToySetOptions& options);

}  // namespace kindred
