// Encodes an image as JPEG, with libjpeg-turbo.
#pragma once

#include <kindred/data/images/image.h>

#include <cstdint>
#include <vector>

namespace kindred {

// Baseline JPEG, 4:2:0 subsampling, `quality` 1 to 100. The image must not be empty, and no side may exceed
// 65500 pixels. Throws Error(internal) if libjpeg fails.
std::vector<std::uint8_t> encode_jpeg(const Image& image, int quality);

}  // namespace kindred
