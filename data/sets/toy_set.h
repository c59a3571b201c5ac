// A folder of toy pictures: OUT/train/<class>/*.jpg, and a quarter as many in OUT/val/<class>/*.jpg.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace kindred {

struct ToySetOptions {
  int classes = 10;     // 2 to max_toy_classes
  int per_class = 200;  // training images; validation: a quarter of them, at least one
  int image_size = 64;  // 16 to 1024
  std::uint64_t seed = 1;
};

int toy_validation_images(const ToySetOptions& options);  // per class

// Draws the set and returns true. If `out` already holds a complete set with exactly these settings, it is left
// unchanged and the result is false. If an earlier call with these settings was interrupted, its images are kept
// and the others drawn. A small file with the settings marks a set; its name says whether the set is complete.
// `before_image` is called before each image that is drawn, and may throw to stop. Throws Error(usage) if an option is
// out of range or if `out` exists and holds anything else, and Error(io) if writing fails.
bool make_toy_set(const std::string& out, const ToySetOptions& options,
                  const std::function<void()>& before_image = {});

}  // namespace kindred
