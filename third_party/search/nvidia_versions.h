// Versions of NVIDIA's libraries, and whether a driver can run them.
#pragma once

#include <cstddef>
#include <string>

namespace kindred::nvidia {

// Converts the version format of cuDNN, cuBLASLt and NCCL: 91900 -> "9.19.0".
std::string version_text(std::size_t version);

// The Python package that contains the library for a version of CUDA: 13000 -> "nvidia-cudnn-cu13".
std::string cudnn_package(int cuda);
std::string cublas_package(int cuda);
std::string nccl_package(int cuda);

// A library built for one CUDA version runs on every driver of the same or a later major version. Returns why
// this one does not run, or "". `driver` is the CUDA version that the driver supports, 0 if there is no driver.
// `package` is a package with a version that would run.
std::string why_too_new(const std::string& library, int made_for, int driver, const std::string& package);

}  // namespace kindred::nvidia
