// The raw kernels of pooling. The caller owns every tensor. Every result is overwritten completely.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

// The sliding window: a square that moves by `stride` and starts `pad` pixels before the image.
struct Window {
  std::int64_t kernel, stride, pad;
};

struct PoolingKernels {
  // y[N, OH, OW, C] = maxima of x[N, H, W, C]. argmax is u8 and has the shape of y. It holds the position of
  // each maximum in its window: kh * kernel + kw.
  void (*max_forward)(const Tensor& x, const Window& window, Output y, Output argmax);
  // dx[N, H, W, C]: the sum of dy over the windows that have their maximum there.
  void (*max_backward)(const Tensor& argmax, const Tensor& dy, const Window& window, Output dx);
  // y[N, C] = mean of x[N, H, W, C] over H and W
  void (*average_forward)(const Tensor& x, Output y);
  // dx[N, H, W, C] = dy[N, C] / (H * W)
  void (*average_backward)(const Tensor& dy, Output dx);
};
extern const PoolingKernels pooling_reference;    // f32, f64
extern const PoolingKernels pooling_cpu;          // f32, bf16
extern const PoolingKernels pooling_plan;         // see plan.cpp
extern const PoolingKernels* const pooling_cuda;  // null in a build without CUDA

const PoolingKernels& pooling_kernels(Device device);

}  // namespace kindred
