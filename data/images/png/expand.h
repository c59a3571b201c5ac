// A row of PNG's samples, as they are after unfiltering, to 8-bit RGB.
#pragma once

#include <kindred/data/images/png/png_file.h>

namespace kindred::detail {

// Writes `width` pixels to `rgb`. Gray is repeated, alpha is dropped, of 16 bits the high byte is kept, and fewer than 8
// bits are stretched to 0 to 255. Returns false if a pixel's colour is not in the palette: it becomes black.
bool expand_row(const PngFile& file, const std::uint8_t* row, std::size_t width, std::uint8_t* rgb);

}  // namespace kindred::detail
