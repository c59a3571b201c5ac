// The choice of SupCon's backward kernel on a GPU; included by the cuda files of this folder alone.
#pragma once

#include <kindred/losses/supcon/cuda_sweep.h>

namespace kindred::supcon_tiles {

// rows, columns, pairs, area, chunks of D, d_rows, parts (cuda_backward_kernel.h)
using BackwardKernel = void (*)(Rows, Rows, Pairs, Area, unsigned, float*, float*);

// Its instances take most of this folder's time to compile, so two files beside each other hold them:
// cuda_backward_labels.cu (false) and cuda_backward_general.cu (true).
template <bool general>
BackwardKernel backward_kernel_of(const SupConFormula& formula);

}  // namespace kindred::supcon_tiles
