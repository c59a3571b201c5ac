// The raw kernels of the 2-d convolution. The caller owns every tensor. Every result is overwritten completely.
#pragma once

#include <kindred/engine/kernels/conv_shape.h>
#include <kindred/engine/tensor.h>

namespace kindred {

struct Conv2dKernels {
  // y = x * filters (cross-correlation, zero padding)
  void (*forward)(const ConvShape& shape, const Tensor& x, const Tensor& w, Output y);
  // dx = the gradient of x, plus `addend` if it is defined. The addend is the gradient that x gets from
  // elsewhere, for example from a shortcut.
  void (*backward_data)(const ConvShape& shape, const Tensor& dy, const Tensor& w, const Tensor& addend,
                        Output dx);
  // dw[k, kh, kw, c] = the gradient of the filters; it may be f32 even if x and dy are bf16
  void (*backward_weight)(const ConvShape& shape, const Tensor& x, const Tensor& dy, Output dw);
};
extern const Conv2dKernels conv2d_reference;    // f32, f64
extern const Conv2dKernels conv2d_cpu;          // f32, bf16
extern const Conv2dKernels* const conv2d_cuda;  // null in a build without CUDA

const Conv2dKernels& conv2d_kernels(Device device);

// Kernels of the `plan` device: conv2d_plan describes a GPU's work (plan.cpp), conv2d_plan_cpu the memory that
// the CPU's kernels need (cpu.cpp).
extern const Conv2dKernels conv2d_plan, conv2d_plan_cpu;

// The number of channels that a GPU computes with. Tensor cores read eight 16-bit numbers at a time, so the
// three colour channels of a stem are zero-padded in copies that exist during the call.
inline std::int64_t channels_on_cuda(std::int64_t channels, DType dtype) {
  return dtype == DType::f32 ? channels : (channels + 7) / 8 * 8;
}

}  // namespace kindred
