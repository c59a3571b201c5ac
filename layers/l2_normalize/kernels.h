// The raw kernels of row normalisation. The caller owns every tensor. Every result is overwritten completely.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

struct L2NormalizeKernels {
  // length[m] = |x[m, :]|, y[m, :] = x[m, :] / max(length[m], 1e-12). y and length are f32 (f64 if x is f64).
  void (*forward)(const Tensor& x, Output y, Output length);
  // dx[m, :] = (dy - y (y . dy)) / length[m], or 0 if length[m] <= 1e-12. dx has the type of x.
  void (*backward)(const Tensor& y, const Tensor& length, const Tensor& dy, Output dx);
};
extern const L2NormalizeKernels l2_normalize_reference;    // f32, f64
extern const L2NormalizeKernels l2_normalize_cpu;          // x and dx f32 or bf16
extern const L2NormalizeKernels l2_normalize_plan;         // see plan.cpp
extern const L2NormalizeKernels* const l2_normalize_cuda;  // null in a build without CUDA

const L2NormalizeKernels& l2_normalize_kernels(Device device);

}  // namespace kindred
