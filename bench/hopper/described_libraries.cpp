// cuDNN and cuBLASLt of the described GPU: every convolution and every product has a plan, whose run is a line of the
// log. Additions in the epilogue of a data gradient, and batch norms of cuDNN, are taken only where they are faster,
// which nothing but a GPU can tell, so there are none.
#include <kindred/bench/hopper/described_gpu.h>
#include <kindred/engine/error.h>
#include <kindred/layers/conv2d/product/product.h>
#include <kindred/third_party/cublaslt/cublaslt.h>
#include <kindred/third_party/cudnn/batch_norm.h>
#include <kindred/third_party/cudnn/convolution.h>
#include <kindred/third_party/timing/gpu_timing.h>

#include <fmt/format.h>

#include <map>
#include <memory>

namespace kindred {
namespace {

// Plans are only ever handed back to run(), so the address of a key stands for one.
std::map<cudnn::ConvolutionKey, std::unique_ptr<cudnn::ConvolutionKey>>& planned() {
  static std::map<cudnn::ConvolutionKey, std::unique_ptr<cudnn::ConvolutionKey>> keys;
  return keys;
}

}  // namespace

// Products of our own are off unless they were timed.
const ProductChoice no_choice = {
    [] { return false; }, [](const ConvShape&, const Tensor&, const Tensor&, const Tensor&) { return false; }};
const ProductChoice* const product_choice_cuda = &no_choice;
const ProductKernels* const product_cuda = nullptr;

namespace cudnn {

// As cuDNN 9.19 answers for an H200 (tests/cudnn/plans_test.cpp): no engine writes f32 gradients of 16-bit filters.
const Plan* plan_for(const ConvolutionKey& key) {
  if (key.with_addend || (key.dtype != DType::f32 && key.weight_dtype != key.dtype)) return nullptr;
  std::unique_ptr<ConvolutionKey>& at = planned()[key];
  if (!at) at = std::make_unique<ConvolutionKey>(key);
  return reinterpret_cast<const Plan*>(at.get());
}

void run(const Plan& plan, const std::vector<Plan::Binding>&) {
  const auto& key = reinterpret_cast<const ConvolutionKey&>(plan);
  const ConvShape& s = key.shape;
  std::vector<std::string> fields{fmt::format("{}", static_cast<int>(key.pass)), name(key.dtype),
                                  name(key.weight_dtype)};
  for (const std::int64_t number : {s.n, s.h, s.w, s.c, s.k, s.kh, s.kw, s.stride, s.pad, s.out_h, s.out_w})
    fields.push_back(fmt::format("{}", number));
  described_gpu::write("conv", fields);
}

std::string ConvolutionKey::to_string() const {
  return "a convolution";
}

const BatchNormPlans* plans_for(const BatchNormKey&) {
  return nullptr;
}

bool wins(const BatchNormKey&, const std::function<float()>&) {
  return false;
}

std::string BatchNormKey::to_string() const {
  return "a batch norm";
}

}  // namespace cudnn

namespace cublaslt {

bool multiply(const ProductKey& key, const void*, const void*, void*, void*) {
  described_gpu::write("product", {name(key.type), name(key.result), fmt::format("{}", key.m),
                                   fmt::format("{}", key.n), fmt::format("{}", key.k)});
  return true;
}

}  // namespace cublaslt

namespace cuda {

ScratchMemory::ScratchMemory() : scope_(Device::cuda, new_memory_pool(Device::cuda)) {}

Tensor ScratchMemory::random(std::int64_t elements, DType dtype) const {
  return Tensor::empty({elements}, dtype, Device::cuda);
}

float time_on_gpu(const std::function<void()>&) {
  fail(ExitCode::internal, "a described GPU has no time");
}

}  // namespace cuda
}  // namespace kindred
