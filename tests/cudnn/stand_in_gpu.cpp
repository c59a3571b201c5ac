// Replaces engine/cuda/device.cu in a program: the GPU only reports its presence. This shows what a user is
// told. KINDRED_STAND_IN_GPU is "none" on a machine without a driver. NVIDIA's libraries are searched for as
// usual, but not in the system's folders: a test must not depend on the machine.
#include <kindred/engine/cuda/gpu_libraries.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/error.h>

#include <cuda_runtime_api.h>
#include <dlfcn.h>  // defines: dlopen, dlsym

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <string_view>

// dlopen without the system's folders.
extern "C" void* dlopen(const char* file, int mode) noexcept {
  using Dlopen = void* (*)(const char*, int);
  static const auto real = reinterpret_cast<Dlopen>(dlsym(RTLD_NEXT, "dlopen"));
  const std::string name = file == nullptr ? "" : file;
  if (!name.starts_with("libcudnn") && !name.starts_with("libcublas") && !name.starts_with("libnvrtc") &&
      !name.starts_with("libnccl"))
    return real(file, mode);
  const char* folders = std::getenv("LD_LIBRARY_PATH");
  std::istringstream list(folders == nullptr ? "" : folders);
  for (std::string folder; std::getline(list, folder, ':');)
    if (std::filesystem::exists(folder + "/" + name)) return real((folder + "/" + name).c_str(), mode);
  return real(("/no/such/folder/" + name).c_str(), mode);  // for dlerror()
}

namespace kindred {
namespace cuda {

void check_status(cudaError_t status, const char* call) {
  check(status == cudaSuccess, ExitCode::device, "CUDA: {} failed", call);
}

cudaStream_t stream() {
  fail(ExitCode::device, "the stand-in GPU computes nothing");
}

cudaStream_t communicate_stream() {
  return stream();
}

}  // namespace cuda
namespace {

GpuProbe probe() {
  const char* kind = std::getenv("KINDRED_STAND_IN_GPU");
  GpuFacts facts;
  if (kind == nullptr || std::string_view(kind) != "none") {
    facts.runtime = 13000;
    facts.driver = 13010;
    facts.count = 1;
    facts.gpu = "NVIDIA H200";
    facts.major = 9;
    facts.has_code = true;
    facts.missing_library = missing_gpu_library();
  }
  GpuProbe result;
  result.problem = why_unusable(facts);
  result.usable = result.problem.empty();
  result.memory = std::size_t{140} << 30;
  if (result.usable) result.name = "NVIDIA H200, driver for CUDA 13.0";
  return result;
}

DeviceKernels with_a_probe_alone() {
  DeviceKernels kernels{};
  kernels.probe = probe;
  kernels.libraries = gpu_libraries;
  kernels.libraries_of_many = gpu_libraries_of_many;
  return kernels;
}

const DeviceKernels kernels = with_a_probe_alone();

}  // namespace

const DeviceKernels* const device_cuda = &kernels;

}  // namespace kindred
