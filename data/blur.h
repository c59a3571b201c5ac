// Gaussian blur as torchvision's: weights exp(-x^2 / 2 sigma^2) over a square of `kernel` pixels, normalised;
// edges mirrored without repeating the edge pixel. Separable: rows, then columns, in float, rounded once.
#pragma once

#include <kindred/data/planes.h>

#include <vector>

namespace kindred {

// Memory kept from view to view; its content between calls means nothing.
struct BlurScratch {
  std::vector<float> weights;
  std::vector<float> padded;   // one row with its mirrored edges
  std::vector<float> blurred;  // [size, size]: a plane whose rows are done
  std::vector<float> sum;      // one row
};

// A tenth of the side, made odd.
inline int blur_kernel(int size) {
  return (size / 10) | 1;
}

// In place. `kernel` is odd and less than twice the side.
void gaussian_blur(Planes& view, int kernel, float sigma, BlurScratch& scratch);

}  // namespace kindred
