// cuDNN has no emulation, so the GPU's own plain kernels replace it.
#include <kindred/layers/conv2d/cuda_plain.h>

namespace kindred {

const Conv2dKernels* const conv2d_cuda = &cuda::conv2d_plain;

}  // namespace kindred
