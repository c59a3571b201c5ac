// Memory, copies and the probe of a GPU.
#include <kindred/engine/cuda/elements.h>
#include <kindred/engine/cuda/launch.h>
#include <kindred/engine/device_kernels.h>

namespace kindred {
namespace cuda {

void check_status(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // an error that is not sticky ends here
  fail(ExitCode::device, "CUDA: {} failed: {}", call, cudaGetErrorString(status));
}

cudaStream_t stream() {
  static cudaStream_t compute = [] {
    cudaStream_t made;
    check_status(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "cudaStreamCreate");
    return made;
  }();
  return compute;
}

}  // namespace cuda
namespace {

using cuda::check_status;

std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

// Why the GPU cannot be used, or "". Code for one architecture does not run on another, so a kernel is asked.
std::string why_unusable(int device_count, cudaError_t counted, int driver, int runtime);

__global__ void probe_kernel(int* answer) {
  *answer = 42;
}

GpuProbe probe() {
  GpuProbe result;
  int driver = 0, runtime = 0, count = 0;
  cudaDriverGetVersion(&driver);  // 0 where there is no driver
  cudaRuntimeGetVersion(&runtime);
  const cudaError_t counted = cudaGetDeviceCount(&count);
  result.reason = why_unusable(count, counted, driver, runtime);
  if (!result.reason.empty()) return result;
  cudaDeviceProp properties;
  check_status(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  cudaFuncAttributes attributes;
  if (const cudaError_t status = cudaFuncGetAttributes(&attributes, probe_kernel); status != cudaSuccess) {
    cudaGetLastError();
    result.reason = fmt::format(
        "the GPU ({}) has the architecture {}.{}, which this build has no code for; build with "
        "-DCMAKE_CUDA_ARCHITECTURES={}{}",
        properties.name, properties.major, properties.minor, properties.major, properties.minor);
    return result;
  }
  result.usable = true;
  result.reason = fmt::format("{}, driver for CUDA {}", properties.name, version_text(driver));
  result.memory = properties.totalGlobalMem;
  result.multiprocessors = properties.multiProcessorCount;
  return result;
}

std::string why_unusable(int device_count, cudaError_t counted, int driver, int runtime) {
  if (driver == 0) return "no NVIDIA driver is installed";
  if (counted == cudaErrorInsufficientDriver)
    return fmt::format("the NVIDIA driver is too old: it knows CUDA {}, and this build needs {}",
                       version_text(driver), version_text(runtime));
  if (counted != cudaSuccess) return fmt::format("no GPU answers ({})", cudaGetErrorString(counted));
  if (device_count == 0) return "no GPU is there";
  return "";
}

std::byte* acquire(std::size_t bytes) {
  void* address = nullptr;
  const cudaError_t status = cudaMalloc(&address, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  check_status(status, "cudaMalloc");
  return static_cast<std::byte*>(address);
}

void release(std::byte* address) {
  cudaFree(address);
}

void free_and_total(std::size_t& free, std::size_t& total) {
  check_status(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
}

void synchronize() {
  check_status(cudaStreamSynchronize(cuda::stream()), "a kernel");
}

void upload(const void* host, void* device, std::size_t bytes) {
  check_status(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, cuda::stream()), "cudaMemcpy");
  synchronize();
}

void download(const void* device, void* host, std::size_t bytes) {
  check_status(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, cuda::stream()), "cudaMemcpy");
  synchronize();
}

void set_bytes(void* device, int value, std::size_t bytes) {
  check_status(cudaMemsetAsync(device, value, bytes, cuda::stream()), "cudaMemset");
}

}  // namespace

static const DeviceKernels kernels = {probe,    acquire,   release,    free_and_total, upload,
                                      download, set_bytes, cuda::fill, cuda::convert,  synchronize};
const DeviceKernels* const device_cuda = &kernels;

}  // namespace kindred
