// Image -> JPEG bytes, by libjpeg-turbo.
#pragma once

#include <kindred/data/image.h>

#include <cstdint>
#include <vector>

namespace kindred {

// Baseline, 4:2:0, `quality` 1 to 100. The image is not empty and has no side above 65500 pixels.
// Error(internal) if libjpeg refuses.
std::vector<std::uint8_t> encode_jpeg(const Image& image, int quality);

}  // namespace kindred
