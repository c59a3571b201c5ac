// The raw kernels of the ReLU. The caller owns every tensor. Every result is overwritten completely. The kernel
// of the sum belongs to the engine (engine/kernels/accumulate.h), because the tape adds gradients with it.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

struct PointwiseKernels {
  // y = max(x, 0)
  void (*relu_forward)(const Tensor& x, Output y);
  // dx = dy where y > 0, else 0
  void (*relu_backward)(const Tensor& y, const Tensor& dy, Output dx);
};
extern const PointwiseKernels pointwise_reference;    // f32, f64
extern const PointwiseKernels pointwise_cpu;          // f32, bf16
extern const PointwiseKernels pointwise_plan;         // see plan.cpp
extern const PointwiseKernels* const pointwise_cuda;  // null in a build without CUDA

const PointwiseKernels& pointwise_kernels(Device device);

}  // namespace kindred
