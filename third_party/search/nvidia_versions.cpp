#include <kindred/engine/device_kernels.h>
#include <kindred/engine/error.h>
#include <kindred/third_party/search/nvidia_versions.h>

namespace kindred::nvidia {

std::string version_text(std::size_t version) {
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

std::string cudnn_package(int cuda) {
  return fmt::format("nvidia-cudnn-cu{}", cuda / 1000);
}

std::string cublas_package(int cuda) {
  return cuda >= 13000 ? "nvidia-cublas" : fmt::format("nvidia-cublas-cu{}", cuda / 1000);
}

std::string nccl_package(int cuda) {
  return fmt::format("nvidia-nccl-cu{}", cuda / 1000);
}

std::string why_too_new(const std::string& library, int made_for, int driver, const std::string& package) {
  if (driver == 0 || made_for / 1000 <= driver / 1000) return "";
  return fmt::format(
      "{} was made for CUDA {}, but the driver supports only CUDA {}; install a newer driver, or pip install "
      "{} and name its folder in LD_LIBRARY_PATH",
      library, cuda_version_text(made_for), cuda_version_text(driver), package);
}

}  // namespace kindred::nvidia
