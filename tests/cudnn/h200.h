// An H200 as cuDNN describes one (CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION), by NVIDIA's data sheet and the CUDA
// programming guide's table of compute capability 9.0.
#pragma once

namespace kindred::test {

inline constexpr const char* h200 = R"({
  "deviceName": "NVIDIA H200", "deviceVer": 900, "driverVer": 13000, "cudaDeviceId": 0, "pciDeviceId": 0,
  "isTccDriver": 0, "supportCoopLaunch": 1, "multiProcessorCount": 132, "smClockRateKHz": 1980000,
  "memClockRateKHz": 3201000, "memoryBusWidth": 6144, "totalGlobalMem": 150100000000, "l2CacheSize": 62914560,
  "warpSize": 32, "maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64],
  "maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048, "maxCtasPerSM": 32, "regsPerBlock": 65536,
  "maxRegistersPerSM": 65536, "maxSharedMemoryPerBlock": 49152, "maxSharedMemoryPerBlockOptin": 232448,
  "reservedSharedMemoryPerBlock": 1024
})";

}  // namespace kindred::test
