// Inside data/ only: one decoder per format, and what they share. decode.cpp chooses among them.
#pragma once

#include <kindred/data/decode.h>

namespace kindred::detail {

Decoded decode_jpeg(std::span<const std::uint8_t> bytes, const DecodeLimits& limits);  // jpeg.cpp
Decoded decode_png(std::span<const std::uint8_t> bytes, const DecodeLimits& limits);   // png_bmp.cpp
Decoded decode_bmp(std::span<const std::uint8_t> bytes, const DecodeLimits& limits);   // png_bmp.cpp

Decoded rejected(std::string reason);

// Empty when a picture of this size may be decoded, otherwise the reason why not.
std::string size_problem(std::uint64_t height, std::uint64_t width, const DecodeLimits& limits);

}  // namespace kindred::detail
