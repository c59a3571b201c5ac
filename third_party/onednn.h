// oneDNN behind plain functions: convolution and matrix product on the CPU, float32 and bfloat16.
//
// Primitives are built once for each key and cached; packed weights and scratch memory come from the host's
// pool for the length of one call. oneDNN 2.x and 3.x describe primitives differently: onednn.cpp is the one
// file that knows.
#pragma once

#include <kindred/engine/tensor.h>

#include <compare>
#include <cstdint>

namespace kindred::onednn {

enum class Pass : std::uint8_t { forward, backward_data, backward_weight };

// Winograd's (Lavin and Gray 2016, arXiv 1509.09308) multiplies 2 to 4 times less for 3x3 filters of stride 1,
// and rounds a little more.
enum class Algorithm : std::uint8_t { direct, winograd };

// A 2-d convolution of NHWC images with [out, kh, kw, in] filters, square stride and zero padding.
struct Convolution {
  Pass pass;
  DType dtype;         // of x and y and their gradients: f32 or bf16
  DType weight_dtype;  // of the filters, or of their gradient
  std::int64_t n, h, w, c;
  std::int64_t k, kh, kw, stride, pad;
  std::int64_t out_h, out_w;
  Algorithm algorithm = Algorithm::direct;
  auto operator<=>(const Convolution&) const = default;
};

// forward: x, w -> y.  backward_data: y, w -> x.  backward_weight: x, y -> w.  In the backward passes the
// letters are the gradients. The result is overwritten.
void convolution(const Convolution& key, const void* x, const void* w, const void* y);

// Whether oneDNN has bf16 for this processor: on x86 those with AVX-512 (DNNL_MAX_CPU_ISA=AVX2 makes it take any for one
// without). Where it has none, convolution() fails in bf16, and so does bf16_gemm(): layers compute in f32 (layers/in_f32.h).
bool has_bf16();

// True when oneDNN has Winograd's algorithm for this shape, pass and processor.
bool has_winograd(Convolution key);

// Bytes that one call takes from the pool and gives back: packed weights and scratch memory.
std::size_t convolution_workspace(const Convolution& key);

// c[m, n] = alpha * op(a) op(b) + beta * c, row-major, float32; op transposes where asked.
void sgemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
           const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
           std::int64_t ldc);

// c[m, n] = op(a) op(b), row-major and dense; a and b bfloat16, c f32 or bf16; sums in float32.
void bf16_gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
               const BFloat16* a, const BFloat16* b, void* c, DType c_dtype);

// "oneDNN 2.6.3".
std::string version();

}  // namespace kindred::onednn
