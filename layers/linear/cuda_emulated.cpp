// cuBLASLt has no emulation: the GPU's own plain kernels stand in.
#include <kindred/layers/linear/cuda_plain.h>

namespace kindred {

const LinearKernels* const linear_cuda = &cuda::linear_plain;

}  // namespace kindred
