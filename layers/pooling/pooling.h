// Pooling of images: the maximum of a sliding window, and the mean of the whole image.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

// y[n, oh, ow, c] = the largest x[n, h, w, c] in the window of kernel x kernel pixels whose first pixel is at
// (oh * stride - pad, ow * stride - pad). Pixels outside the image count as -inf. Among equal values the first
// in row-major order gets the gradient, and a NaN counts as the largest value, both as in PyTorch.
//
// x [N, H, W, C] -> [N, OH, OW, C] with OH = (H + 2 * pad - kernel) / stride + 1 rounded down, in the type of
// x. kernel is at most 15 and pad is at most half of it, so every window contains a pixel.
Tensor max_pool2d(const Tensor& x, std::int64_t kernel, std::int64_t stride, std::int64_t pad);

// x [N, H, W, C] -> [N, C]: the mean of each channel over the image, in the type of x. The sums are computed in
// f32.
Tensor global_average_pool(const Tensor& x);

}  // namespace kindred
