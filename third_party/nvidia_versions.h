// Versions of NVIDIA's libraries, and whether a driver can run them.
#pragma once

#include <cstddef>
#include <string>

namespace kindred::nvidia {

// As cuDNN, cuBLASLt and NCCL count: 91900 -> "9.19.0".
std::string version_text(std::size_t version);

// The package of Python's that brings the library for a version of CUDA: 13000 -> "nvidia-cudnn-cu13".
std::string cudnn_package(int cuda);
std::string cublas_package(int cuda);

// A library that was made for one CUDA runs on every driver of the same major version or a later one. Why this
// one does not run, or "": `driver` is the CUDA that the driver knows, 0 where there is none. `package` brings
// one that would.
std::string why_too_new(const std::string& library, int made_for, int driver, const std::string& package);

}  // namespace kindred::nvidia
