// Functions that run on the host and on a GPU alike: their arithmetic stands once.
#pragma once

#ifdef __CUDACC__
#define KINDRED_HOST_DEVICE __host__ __device__
#else
#define KINDRED_HOST_DEVICE
#endif
