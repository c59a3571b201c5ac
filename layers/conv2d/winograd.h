// Winograd's minimal filtering for 3x3 convolutions of stride 1 and padding 1, in float32 (Lavin and Gray 2016,
// arXiv 1509.09308, section 4.1: F(4x4, 3x3)).
//
// Four by four outputs need six by six inputs. With both images and filters taken to another basis, by matrices
// of small whole numbers, those 16 outputs cost 36 multiplications for each pair of channels instead of 144:
//
//     y = A^T [ (G w G^T) . (B^T x B) ] A          . is the product of elements, summed over input channels
//
// For each of the 36 positions the sum over channels is a matrix product of [tiles, c] by [c, k]. All three
// passes have this form: the data gradient is the forward pass with filters turned round, and the filter
// gradient follows from the formula by the chain rule,
//
//     dw = G^T [ sum over tiles (A dy A^T) . (B^T x B) ] G.
//
// Tiles are worked off in blocks whose transformed images stay in the L2 cache. The result differs from a plain
// sum by about 1e-6 of its norm.
//
// x[n, h, w, c], y[n, h, w, k], w[k, 3, 3, c]; the caller owns everything; results are overwritten.
#pragma once

#include <kindred/layers/conv2d/kernels.h>
#include <kindred/third_party/onednn.h>

namespace kindred::winograd {

using onednn::Pass;

// True for the shapes that the functions below compute rightly, fast or not. Needs AVX-512.
bool supports(const Conv2dShape& shape);

// True where they are also the better choice.
bool prefers(const Conv2dShape& shape);

// Floats of scratch memory that one call needs, aligned to 64 bytes.
std::int64_t scratch_floats(Pass pass, const Conv2dShape& shape);

void forward(const Conv2dShape& shape, const float* x, const float* w, float* y, float* scratch);
// dx = gradient + addend. `addend` may be null, and may be dx.
void backward_data(const Conv2dShape& shape, const float* dy, const float* w, const float* addend, float* dx,
                   float* scratch);
// The same result in every run with the same number of threads.
void backward_weight(const Conv2dShape& shape, const float* x, const float* dy, float* dw, float* scratch);

}  // namespace kindred::winograd
