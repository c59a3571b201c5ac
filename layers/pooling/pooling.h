// Pooling of images: the maximum of a sliding window, and the mean of the whole image.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

// y[n, oh, ow, c] = the largest x[n, h, w, c] in the window of kernel x kernel pixels whose first is at
// (oh * stride - pad, ow * stride - pad); what lies outside the image counts as -inf. Among equals the first in
// row-major order gets the gradient, and a NaN counts as largest, both as in PyTorch.
//
// x [N, H, W, C] -> [N, OH, OW, C] with OH = (H + 2 * pad - kernel) / stride + 1 rounded down, in x's type.
// kernel is at most 15 and pad at most half of it, so that every window holds a pixel.
Tensor max_pool2d(const Tensor& x, std::int64_t kernel, std::int64_t stride, std::int64_t pad);

// x [N, H, W, C] -> [N, C]: the mean of each channel over the image, in x's type; sums are in f32.
Tensor global_average_pool(const Tensor& x);

}  // namespace kindred
