// Convolutions of images of a few pixels, in float32: the last stage of a ResNet on small images.
//
// A filter lies on an input pixel with one of its taps, or not at all. So with the pixels in the loops outside, a
// convolution is a product of [n, c] by [c, k] for each pair of an output pixel o and an input pixel i that meet:
//
//     y[n, o, k] = sum over i, sum over c of x[n, i, c] * w[k, tap(o, i), c]
//
// Taps beyond the image cost nothing, and of an image of 2x2 pixels these are more than half: 16 products do what takes a
// plain convolution 36, and Winograd's (winograd.h) 36, too. Filters are used as they are, where Winograd's are four times as
// long after their transformation, and that time does not fall with the number of images.
//
// x[n, h, w, c], y[n, out_h, out_w, k], w[k, kh, kw, c]. The caller owns everything. Results are overwritten, and the same
// for every number of threads.
#pragma once

#include <kindred/engine/kernels/conv_shape.h>

#include <cstdint>

namespace kindred::pixel_products {

// Returns true for the shapes that the functions below compute correctly, whether fast or not: channels that fill
// vectors of this machine (engine/cpu/targets.h).
bool supports(const ConvShape& shape);

// Returns true for the shapes where they are also faster than the alternatives.
bool prefers(const ConvShape& shape);

// The scratch memory that one call needs, in floats, aligned to 64 bytes.
std::int64_t scratch_floats(ConvPass pass, const ConvShape& shape);

void forward(const ConvShape& shape, const float* x, const float* w, float* y, float* scratch);
// dx = gradient + addend. `addend` may be null, and it may be dx (in place).
void backward_data(const ConvShape& shape, const float* dy, const float* w, const float* addend, float* dx,
                   float* scratch);
void backward_weight(const ConvShape& shape, const float* x, const float* dy, float* dw, float* scratch);

}  // namespace kindred::pixel_products
