// SupCon's backward kernels for losses with a mask or a cap.
#include <kindred/losses/supcon/cuda_backward_kernel.cuh>

namespace kindred::supcon_tiles {

template BackwardKernel backward_kernel_of<true>(const SupConFormula& formula);

}  // namespace kindred::supcon_tiles
