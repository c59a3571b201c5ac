// Convolutions with a 1 x 1 window and stride 1 as what they are: the product y[m, out] = x[m, in] w[out, in]^T, where m
// counts the pixels of all images. bf16 factors, sums in f32, y rounded to bf16. For Hopper GPUs (sm_90a).
//
// Four forms of one kernel, from the plainest to the one that is used; docs/product.md explains each step and what
// its machine code lets expect. Every result is overwritten completely. Each form gives the same bits in every run.
#pragma once

#include <kindred/engine/kernels/conv_shape.h>
#include <kindred/engine/tensor.h>

#include <cstdint>

namespace kindred {

// A batch norm and a ReLU on the way in: x becomes max(0, x slope + shift), rounded to bf16. f32 [in]; both or none.
struct ProductInput {
  Tensor slope = {}, shift = {};
};

// What the next batch norm needs of y, as it was rounded: mean and biased variance of each column. f32 [out]; both or none.
struct ProductStatistics {
  Tensor mean = {}, variance = {};
};

struct ProductKernels {
  void (*naive)(const Tensor& x, const Tensor& w, Output y);  // one thread for each element of y; any shape
  void (*tiled)(const Tensor& x, const Tensor& w, Output y);  // tiles in shared memory, tensor cores
  void (*asynchronous)(const Tensor& x, const Tensor& w, Output y);  // tiles arrive while others are multiplied
  // A warp that only copies, warps that only multiply, and what stands around the product done on the way.
  void (*specialised)(const Tensor& x, const Tensor& w, const ProductInput& input, Output y,
                      const ProductStatistics& statistics);
};
extern const ProductKernels* const product_cuda;  // null in a build without CUDA

struct ProductChoice {
  // Returns true if all forms run on the GPU at hand: compute capability 9.0 and code for it, or the emulation.
  bool (*usable)();
  // Returns true if the specialised form computes this convolution faster than cuDNN on the GPU at hand. Always false
  // unless the environment variable KINDRED_PRODUCT is set. The first call for a shape times both, and so waits for the
  // GPU.
  bool (*is_faster)(const ConvShape& shape, const Tensor& x, const Tensor& w, const Tensor& y);
};
extern const ProductChoice* const product_choice_cuda;  // null in a build without CUDA

// All forms but the naive one need whole chunks of 64 channels, and addresses that are multiples of 16 bytes.
constexpr bool product_fits(std::int64_t in, std::int64_t out) {
  return in > 0 && out > 0 && in % 64 == 0 && out % 64 == 0 && in <= 4096;
}

// Returns true if the convolution is such a product.
constexpr bool is_product(const ConvShape& s) {
  return s.kh == 1 && s.kw == 1 && s.stride == 1 && s.pad == 0;
}

// Computes the convolution as a product where that is faster (ProductChoice), and returns whether it did. For the kernels
// of device cuda alone.
inline bool convolved_by_product(const ConvShape& s, const Tensor& x, const Tensor& w, Output y) {
  if (!is_product(s) || !product_choice_cuda->is_faster(s, x, w, y)) return false;
  const std::int64_t rows = s.n * s.h * s.w;
  product_cuda->specialised(x.reshape({rows, s.c}), w.reshape({s.k, s.c}), {}, Output(y.reshape({rows, s.k})),
                            {});
  return true;
}

}  // namespace kindred
