// cuDNN has no emulation: the GPU's own plain kernels stand in.
#include <kindred/layers/conv2d/cuda_plain.h>

namespace kindred {

const Conv2dKernels* const conv2d_cuda = &cuda::conv2d_plain;

}  // namespace kindred
