// SupCon's backward kernels for losses where only labels decide.
#include <kindred/losses/supcon/cuda_backward_kernel.cuh>

namespace kindred::supcon_tiles {

template BackwardKernel backward_kernel_of<false>(const SupConFormula& formula);

}  // namespace kindred::supcon_tiles
