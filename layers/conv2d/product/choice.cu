// Whether a product is faster than cuDNN's convolution, measured on the GPU at hand.
#include <kindred/engine/cuda/hopper.h>
#include <kindred/layers/conv2d/product/asked.h>
#include <kindred/layers/conv2d/product/forms.h>
#include <kindred/third_party/cudnn/convolution.h>
#include <kindred/third_party/timing/gpu_timing.h>

#include <cmath>

namespace kindred {
namespace {

__global__ void probe_kernel(std::int32_t* found) {
  *found = cuda::has_hopper_code() ? 1 : 0;
}

bool usable() {
  static const bool answer = [] {
    int device = 0, major = 0, minor = 0;
    cuda::check_status(cudaGetDevice(&device), "cudaGetDevice");
    cuda::check_status(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
                       "asking for a GPU's architecture");
    cuda::check_status(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device),
                       "asking for a GPU's architecture");
    if (major != 9 || minor != 0) return false;
    const Tensor found = Tensor::empty({1}, DType::i32, Device::cuda);
    cuda::launch(probe_kernel, dim3(1), 1, found.data<std::int32_t>());
    return found.to(Device::cpu, DType::i32).data<std::int32_t>()[0] == 1;
  }();
  return answer;
}

// Milliseconds of both on numbers of their own.
bool wins(const ConvShape& s) {
  const cuda::ScratchMemory memory;
  const std::int64_t rows = s.n * s.h * s.w;
  const Tensor x = memory.random(rows * s.c, DType::bf16).reshape({rows, s.c}),
               w = memory.random(s.k * s.c, DType::bf16).reshape({s.k, s.c}),
               y = memory.random(rows * s.k, DType::bf16).reshape({rows, s.k});
  const cudnn::ConvolutionKey key{ConvPass::forward, DType::bf16, DType::bf16, s, false, 16};
  const cudnn::Plan* const plan = cudnn::plan_for(key);
  if (plan == nullptr) return true;
  const auto by_library = [&] { cudnn::run(*plan, {{0, x.raw()}, {1, w.raw()}, {2, y.raw()}}); };
  const auto by_product = [&] { cuda::specialised_product(x, w, {}, Output(y), {}); };
  by_library();
  by_product();
  return cuda::time_on_gpu(by_product) < cuda::time_on_gpu(by_library);
}

bool is_faster(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& y) {
  if (!cuda::products_are_asked_for() || !cuda::can_be_product(s, x, w, y) || !usable()) return false;
  static cudnn::ShapeTable<ConvShape, bool> table;
  return table.at(s, [&s] {
    const std::string name =
        cudnn::book_name(fmt::format("product {}x{}x{}x{} -> {} or a convolution", s.n, s.h, s.w, s.c, s.k));
    std::optional<std::string> winner = plan_book().find(name);
    if (!winner) {
      try {
        winner = wins(s) ? "product" : "convolution";
      } catch (const OutOfMemory&) {
        return false;
      }
      plan_book().remember(name, *winner);
    }
    return *winner == "product";
  });
}

const ProductChoice choice = {usable, is_faster};

}  // namespace

const ProductChoice* const product_choice_cuda = &choice;

}  // namespace kindred
