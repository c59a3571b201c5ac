// The raw kernels of the linear layer. The caller owns every tensor; every result is overwritten in full.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

struct LinearKernels {
  // y[m, out] = x[m, in] w[out, in]^T + bias[out]. `bias` may be undefined.
  void (*forward)(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& y);
  // dx[m, in] = dy[m, out] w[out, in]
  void (*backward_data)(const Tensor& dy, const Tensor& w, const Tensor& dx);
  // dw[out, in] = dy^T x; f32 also where x and dy are bf16
  void (*backward_weight)(const Tensor& x, const Tensor& dy, const Tensor& dw);
  // db[out] = column sums of dy; f32 also where dy is bf16
  void (*backward_bias)(const Tensor& dy, const Tensor& db);
};
extern const LinearKernels linear_reference;    // f32, f64
extern const LinearKernels linear_cpu;          // f32, bf16
extern const LinearKernels* const linear_cuda;  // null in a build without CUDA

const LinearKernels& linear_kernels(Device device);

}  // namespace kindred
