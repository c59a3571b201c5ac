// The raw kernels of the linear layer. The caller owns every tensor. Every result is overwritten completely.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

struct LinearKernels {
  // y[m, out] = x[m, in] w[out, in]^T + bias[out], then max(y, 0) if `relu` is set. `bias` may be undefined.
  void (*forward)(const Tensor& x, const Tensor& w, const Tensor& bias, bool relu, Output y);
  // dx[m, in] = dy[m, out] w[out, in]
  void (*backward_data)(const Tensor& dy, const Tensor& w, Output dx);
  // dw[out, in] = dy^T x; it may be f32 even if x and dy have 16 bits. If db is defined, it is set to the
  // column sums of dy.
  void (*backward_weight)(const Tensor& x, const Tensor& dy, Output dw, Output db);
  // db[out] = column sums of dy; it may be f32 even if dy has 16 bits
  void (*backward_bias)(const Tensor& dy, Output db);
};
extern const LinearKernels linear_reference;    // f32, f64
extern const LinearKernels linear_cpu;          // f32, bf16
extern const LinearKernels linear_plan;         // see plan.cpp
extern const LinearKernels* const linear_cuda;  // null in a build without CUDA

const LinearKernels& linear_kernels(Device device);

}  // namespace kindred
