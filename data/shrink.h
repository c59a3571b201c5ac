// Making a whole picture smaller.
#pragma once

#include <kindred/data/image.h>

namespace kindred {

// The picture with its longer side at `side` pixels, in its proportions; a copy where it is no longer than
// that. Bilinear with antialiasing (resize.h). The image is not empty, side >= 1.
Image shrink_to(const Image& image, int side);

}  // namespace kindred
