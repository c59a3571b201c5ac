// Marks functions that run on both host and GPU, so that their arithmetic is written once.
#pragma once

#ifdef __CUDACC__
#define KINDRED_HOST_DEVICE __host__ __device__
#else
#define KINDRED_HOST_DEVICE
#endif
