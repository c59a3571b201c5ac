// The raw kernels of the 2-d convolution. The caller owns every tensor. Every result is overwritten completely.
#pragma once

#include <kindred/engine/kernels/conv_shape.h>
#include <kindred/engine/widening.h>

namespace kindred {

// On a GPU x and dx may have channels_on_cuda(shape.c) channels instead of shape.c. The additional ones of x are zeros,
// those of dx get the addend or zeros.
struct Conv2dKernels {
  // y = x * filters (cross-correlation, zero padding)
  void (*forward)(const ConvShape& shape, const Tensor& x, const Tensor& w, Output y);
  // dx = the gradient of x, plus `addend` if it is defined. The addend is the gradient that x gets from
  // elsewhere, for example from a shortcut.
  void (*backward_data)(const ConvShape& shape, const Tensor& dy, const Tensor& w, const Tensor& addend,
                        Output dx);
  // dw[k, kh, kw, c] = the gradient of the filters; it may be f32 even if x and dy are bf16
  void (*backward_weight)(const ConvShape& shape, const Tensor& x, const Tensor& dy, Output dw);

  // Null where backward_weight writes an f32 dw itself. Of 16-bit images a GPU's engines write gradients in 16 bits, and
  // a conversion for each convolution would be as many launches. So it can be left to the caller: the gradient as the
  // engine writes it, [k, kh, kw, channels_on_cuda(c)] in the type of x, which `widen` turns into dw. Undefined if
  // backward_weight is to be called for this convolution.
  Tensor (*narrow_backward_weight)(const ConvShape& shape, const Tensor& x, const Tensor& dy) = nullptr;
  Widen widen = nullptr;

  // Whether an addend costs backward_data no pass over memory of its own. Null: it always costs one.
  bool (*adds_freely)(const ConvShape& shape, DType dtype) = nullptr;
};
extern const Conv2dKernels conv2d_reference;    // f32, f64
extern const Conv2dKernels conv2d_cpu;          // f32, bf16
extern const Conv2dKernels* const conv2d_cuda;  // null in a build without CUDA

const Conv2dKernels& conv2d_kernels(Device device);

// Kernels of the `plan` device: conv2d_plan describes a GPU's work (plan.cpp), conv2d_plan_cpu the memory that
// the CPU's kernels need (cpu.cpp).
extern const Conv2dKernels conv2d_plan, conv2d_plan_cpu;

// The number of channels that a GPU computes with. Tensor cores read eight 16-bit numbers at a time. Images come with
// their three colours padded already (normalize_images); filters, and other tensors with such channels, are padded in
// copies that exist during the call.
inline std::int64_t channels_on_cuda(std::int64_t channels, DType dtype) {
  return dtype == DType::f32 ? channels : (channels + 7) / 8 * 8;
}

// Whether a tensor's numbers are a GPU's: on device `cuda`, or on `plan` for a GPU.
inline bool is_for_cuda(Device device) {
  return device == Device::cuda || (device == Device::plan && planned_device() == Device::cuda);
}

}  // namespace kindred
