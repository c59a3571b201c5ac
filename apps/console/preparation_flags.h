// The flags that say how images are prepared (layers/image_input/preparation.h), the same in every program that has them.
#pragma once

#include <kindred/apps/console/choice.h>
#include <kindred/layers/image_input/preparation.h>

#include <string>

namespace kindred {

inline constexpr const char
    *resize_help =
        "images without a random crop: crop (cut out the centre), pad (keep all, gray at the "
        "sides) or squash (keep all, in other proportions)",
    *exif_help =
        "orientation in JPEG, PNG, WebP and TIFF: ignore, or apply (turn images as cameras "
        "noted)";

// Both throw Error(usage) for any other text.
inline ResizeMode parse_resize(const std::string& text) {
  return choice("--resize", text, resize_names);
}
inline ExifMode parse_exif(const std::string& text) {
  return choice("--exif", text, exif_names);
}

}  // namespace kindred
