// The GPU's streams, for sources that call CUDA libraries.
#pragma once

#include <cuda_runtime_api.h>

namespace kindred::cuda {

// Throws Error(device), which names the call, for every status except success.
void check_status(cudaError_t status, const char* call);

// The one stream on which all computation runs, in order.
cudaStream_t stream();

// On which sums over processes run while others compute (GpuStream::communicate).
cudaStream_t communicate_stream();

}  // namespace kindred::cuda
