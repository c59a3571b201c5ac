// oneDNN behind plain functions: convolution and matrix product on the CPU, float32 and bfloat16.
//
// Primitives are built once for each key and cached. Packed weights and scratch memory come from the host's
// pool for the duration of a call. oneDNN 2.x and 3.x describe primitives differently; only onednn.cpp deals
// with this.
#pragma once

#include <kindred/engine/kernels/conv_shape.h>
#include <kindred/engine/tensor.h>

#include <compare>
#include <cstdint>

namespace kindred::onednn {

// Winograd's algorithm (Lavin and Gray 2016, arXiv 1509.09308) needs 2 to 4 times fewer multiplications for 3x3
// filters of stride 1, and has a slightly larger rounding error.
enum class Algorithm : std::uint8_t { direct, winograd };

// A 2-d convolution of NHWC images with [out, kh, kw, in] filters, square stride and zero padding.
struct Convolution {
  ConvPass pass;
  DType dtype;         // of x and y and their gradients: f32 or bf16
  DType weight_dtype;  // of the filters or their gradient
  ConvShape shape;
  Algorithm algorithm = Algorithm::direct;
  auto operator<=>(const Convolution&) const = default;
};

// forward: x, w -> y.  backward_data: y, w -> x.  backward_weight: x, y -> w.  In the backward passes the
// letters stand for the gradients. The result is overwritten.
void convolution(const Convolution& key, const void* x, const void* w, const void* y);

// Whether oneDNN supports bf16 on this processor; on x86 it needs AVX-512. (DNNL_MAX_CPU_ISA=AVX2 makes oneDNN
// treat any processor as one without AVX-512.) If it does not, convolution() and bf16_gemm() fail in bf16, and
// layers compute in f32 (layers/in_f32.h).
bool has_bf16();

// Returns true if oneDNN has Winograd's algorithm for this shape, pass and processor.
bool has_winograd(Convolution key);

// The workspace of one call in bytes, taken from the pool and given back: packed weights and scratch memory.
std::size_t convolution_workspace(const Convolution& key);

// A product of row-major, contiguous matrices: c[m, n] = op(a)[m, k] op(b)[k, n]. A matrix that is to be
// transposed lies in memory as a[k, m] or b[n, k].
struct Product {
  std::int64_t m, n, k;
  bool transpose_a = false, transpose_b = false;
  auto operator<=>(const Product&) const = default;
};
struct Scales {
  float product = 1;  // alpha
  float before = 0;   // beta: how much of the previous c is kept
};

// c = scales.product * op(a) op(b) + scales.before * c, in float32.
void sgemm(const Product& product, const float* a, const float* b, float* c, const Scales& scales = {});

// c = op(a) op(b); a and b are bfloat16, c is f32 or bf16, and sums are float32.
void bf16_gemm(const Product& product, const BFloat16* a, const BFloat16* b, void* c, DType c_dtype);

// "oneDNN 2.6.3".
std::string version();

}  // namespace kindred::onednn
