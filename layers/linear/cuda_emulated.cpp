// cuBLASLt has no emulation, so the GPU's own plain kernels replace it.
#include <kindred/layers/linear/cuda_plain.h>

namespace kindred {

const LinearKernels* const linear_cuda = &cuda::linear_plain;

}  // namespace kindred
