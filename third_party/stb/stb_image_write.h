// stb_image_write, as Kindred uses it: PNG files.
#pragma once

#include <cstdint>
#include <string>

namespace kindred::third_party {

// Returns a PNG file of [height, width, 3] RGB pixels, or an empty string if there is not enough memory.
std::string encode_png(const std::uint8_t* pixels, int height, int width);

}  // namespace kindred::third_party
