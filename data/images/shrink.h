// Shrinks a whole picture.
#pragma once

#include <kindred/data/images/image.h>

namespace kindred {

// Shrinks the picture so that its longer side has `side` pixels, and keeps its proportions. Returns a copy if
// the picture is not larger. Bilinear with antialiasing (resize.h). The image must not be empty, and side >= 1.
Image shrink_to(const Image& image, int side);

}  // namespace kindred
