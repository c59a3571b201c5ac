// The raw kernels of the 2-d convolution. The caller owns every tensor; every result is overwritten in full.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

struct Conv2dShape {
  std::int64_t n, h, w, c;              // x[n, h, w, c]
  std::int64_t k, kh, kw, stride, pad;  // filters[k, kh, kw, c]
  std::int64_t out_h, out_w;            // y[n, out_h, out_w, k]
};

struct Conv2dKernels {
  // y = x * filters (cross-correlation, zero padding)
  void (*forward)(const Conv2dShape& shape, const Tensor& x, const Tensor& w, const Tensor& y);
  // dx = the gradient of x, plus `addend` where it is defined: the gradient that x has from elsewhere, a
  // shortcut say
  void (*backward_data)(const Conv2dShape& shape, const Tensor& dy, const Tensor& w, const Tensor& addend,
                        const Tensor& dx);
  // dw[k, kh, kw, c] = the gradient of the filters; f32 also where x and dy are bf16
  void (*backward_weight)(const Conv2dShape& shape, const Tensor& x, const Tensor& dy, const Tensor& dw);
};
extern const Conv2dKernels conv2d_reference;    // f32, f64
extern const Conv2dKernels conv2d_cpu;          // f32, bf16
extern const Conv2dKernels* const conv2d_cuda;  // null in a build without CUDA

const Conv2dKernels& conv2d_kernels(Device device);

// On the `plan` device: a GPU's (plan.cpp), and what the cpu's kernels need of memory (cpu.cpp).
extern const Conv2dKernels conv2d_plan, conv2d_plan_cpu;

// Channels that a GPU computes with: tensor cores read eight 16-bit numbers at a time, so a stem's three
// colours are padded with zeros in copies that live as long as the call.
inline std::int64_t channels_on_cuda(std::int64_t channels, DType dtype) {
  return dtype == DType::f32 ? channels : (channels + 7) / 8 * 8;
}

}  // namespace kindred
