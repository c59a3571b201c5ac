// The stream of the GPU, for sources that call CUDA's libraries.
#pragma once

#include <cuda_runtime_api.h>

namespace kindred::cuda {

// Throws Error(device) that names the call, for every status but success.
void check_status(cudaError_t status, const char* call);

// The one stream on which all compute runs, in order.
cudaStream_t stream();

}  // namespace kindred::cuda
