// SupCon's backward kernels where labels alone decide.
#include <kindred/losses/supcon/cuda_backward_kernel.h>

namespace kindred::supcon_tiles {

template BackwardKernel backward_kernel_of<false>(const SupConFormula& formula);

}  // namespace kindred::supcon_tiles
