// Hand-vectorised float32 convolutions for few channels, where oneDNN's leave part of the processor idle.
//
// One idea serves every pass. In NHWC the taps of one row of a filter read kw * c consecutive floats of the
// image. So for each row of taps a convolution is a short product
//
//     y[pixel, k] += sum over q in [0, kw * c) of x[pixel * pixel_stride + q] * w[q, k]
//
// with as many output channels as a vector register has lanes and one accumulator for each of several neighbouring pixels. The
// data gradient is the same product on dy with the filters rotated by 180 degrees. For stride 2 it splits into
// four such products, one for each parity of the image's row and column. The filter gradient is the outer
// product of the same two operands.
//
// Images are copied, one at a time, into a scratch image with zeros to the left and right of every row. Taps
// above and below the image are skipped. So no kernel tests for borders.
//
// x[n, h, w, c], y[n, out_h, out_w, k], w[k, kh, kw, c]. The caller owns everything. Results are overwritten.
#pragma once

#include <kindred/engine/kernels/conv_shape.h>

namespace kindred::direct {

// Returns true for the shapes that the functions below support and compute faster than the alternatives, with the
// vectors of this machine.
bool prefers(ConvPass pass, const ConvShape& shape);

// Returns true for the shapes that the functions below compute correctly, whether fast or not.
bool supports(ConvPass pass, const ConvShape& shape);

void forward(const ConvShape& shape, const float* x, const float* w, float* y);
// dx = gradient + addend. `addend` may be null, and it may be dx (in place).
void backward_data(const ConvShape& shape, const float* dy, const float* w, const float* addend, float* dx);
// Gives the same result in every run with the same number of threads.
void backward_weight(const ConvShape& shape, const float* x, const float* dy, float* dw);

}  // namespace kindred::direct
