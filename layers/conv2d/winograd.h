// Winograd's minimal filtering for 3x3 convolutions of stride 1 and padding 1, in float32 (Lavin and Gray 2016,
// arXiv 1509.09308, section 4.1: F(4x4, 3x3)).
//
// Four by four outputs need six by six inputs. Images and filters are transformed to another basis, by matrices
// of small integers. There, those 16 outputs cost 36 multiplications for each pair of channels instead of 144:
//
//     y = A^T [ (G w G^T) . (B^T x B) ] A          . is the elementwise product, summed over input channels
//
// For each of the 36 positions the sum over channels is a matrix product of [tiles, c] by [c, k]. All three
// passes have this form. The data gradient is the forward pass with filters rotated by 180 degrees. The filter
// gradient follows from the formula by the chain rule:
//
//     dw = G^T [ sum over tiles (A dy A^T) . (B^T x B) ] G.
//
// Tiles are processed in blocks whose transformed images stay in the L2 cache. The result differs from a plain
// sum by about 1e-6 of its norm.
//
// x[n, h, w, c], y[n, h, w, k], w[k, 3, 3, c]. The caller owns everything. Results are overwritten.
#pragma once

#include <kindred/layers/conv2d/kernels.h>
#include <kindred/third_party/onednn/onednn.h>

namespace kindred::winograd {

// Returns true for the shapes that the functions below compute correctly, whether fast or not: channels that fill
// vectors of this machine (engine/cpu/targets.h).
bool supports(const ConvShape& shape);

// Returns true for the shapes where they are also faster than the alternatives.
bool prefers(ConvPass pass, const ConvShape& shape);

// The scratch memory that one call needs, in floats, aligned to 64 bytes.
std::int64_t scratch_floats(ConvPass pass, const ConvShape& shape);

void forward(const ConvShape& shape, const float* x, const float* w, float* y, float* scratch);
// dx = gradient + addend. `addend` may be null, and it may be dx (in place).
void backward_data(const ConvShape& shape, const float* dy, const float* w, const float* addend, float* dx,
                   float* scratch);
// Gives the same result in every run with the same number of threads.
void backward_weight(const ConvShape& shape, const float* x, const float* dy, float* dw, float* scratch);

}  // namespace kindred::winograd
