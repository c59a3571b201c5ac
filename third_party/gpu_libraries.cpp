#include <kindred/engine/cuda/gpu_libraries.h>
#include <kindred/third_party/cublaslt/cublaslt.h>
#include <kindred/third_party/cudnn/library.h>
#include <kindred/third_party/nccl/nccl_transport.h>

namespace kindred {

std::string missing_gpu_library() {
  const std::string cudnn = cudnn::why_missing();
  return cudnn.empty() ? cublaslt::why_missing() : cudnn;
}

std::vector<std::string> gpu_libraries() {
  return {cudnn::where(), cublaslt::where()};
}

std::vector<std::string> gpu_libraries_of_many() {
  return {nccl_report()};
}

}  // namespace kindred
