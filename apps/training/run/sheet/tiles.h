// Pictures side by side in a larger one.
#pragma once

#include <kindred/data/images/image.h>

namespace kindred {

// Puts the picture into the square of `cell` pixels at (top, left) of the sheet, centred on gray: shrunk if it is larger, and
// enlarged by a whole number if it fits in more than once. The square must lie in the sheet. Of an empty picture it stays gray.
void put_tile(Image& sheet, int top, int left, int cell, const Image& picture);

}  // namespace kindred
