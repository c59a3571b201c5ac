// Gaussian blur as in torchvision: weights exp(-x^2 / 2 sigma^2) over a square of `kernel` pixels, normalised;
// edges are mirrored without repeating the edge pixel. It is separable: first rows, then columns, in float,
// rounded once.
#pragma once

#include <kindred/data/images/planes.h>

#include <vector>

namespace kindred {

// Memory that is kept from view to view. Its content has no meaning between calls.
struct BlurScratch {
  std::vector<float> weights;
  std::vector<float> padded;   // one row with its mirrored edges
  std::vector<float> blurred;  // [size, size]: a plane after the pass over rows
  std::vector<float> sum;      // one row
};

// A tenth of the side, made odd.
inline int blur_kernel(int size) {
  return (size / 10) | 1;
}

// Works in place. `kernel` is odd and less than twice the side.
void gaussian_blur(Planes& view, int kernel, float sigma, BlurScratch& scratch);

}  // namespace kindred
