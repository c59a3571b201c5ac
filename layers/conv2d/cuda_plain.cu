#include <kindred/engine/cuda/launch.h>
#include <kindred/layers/conv2d/cuda_plain.h>

namespace kindred::cuda {
namespace {

constexpr int threads = 256;

// `width` is the number of channels of x or dx: s.c, or more if zeros follow (kernels.h).

// y[n, i, j, k]: one thread per element; neighbouring threads take neighbouring filters.
template <typename T>
__global__ void forward_kernel(ConvShape s, std::int64_t width, const T* x, const T* w, T* y) {
  const std::int64_t at = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (at >= s.n * s.out_h * s.out_w * s.k) return;
  const std::int64_t k = at % s.k, j = at / s.k % s.out_w, i = at / (s.k * s.out_w) % s.out_h;
  const std::int64_t n = at / (s.k * s.out_w * s.out_h);
  float sum = 0;
  for (std::int64_t a = 0; a < s.kh; ++a)
    for (std::int64_t b = 0; b < s.kw; ++b) {
      const std::int64_t row = i * s.stride + a - s.pad, column = j * s.stride + b - s.pad;
      if (row < 0 || row >= s.h || column < 0 || column >= s.w) continue;
      const T* pixel = x + ((n * s.h + row) * s.w + column) * width;
      const T* tap = w + ((k * s.kh + a) * s.kw + b) * s.c;
      for (std::int64_t c = 0; c < s.c; ++c) sum += static_cast<float>(pixel[c]) * static_cast<float>(tap[c]);
    }
  y[at] = static_cast<T>(sum);
}

// dx[n, row, column, c]: one thread per element sums over the outputs whose window contains the pixel.
template <typename T>
__global__ void backward_data_kernel(ConvShape s, std::int64_t width, const T* dy, const T* w, const T* addend,
                                     T* dx) {
  const std::int64_t at = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (at >= s.n * s.h * s.w * width) return;
  const std::int64_t c = at % width, column = at / width % s.w, row = at / (width * s.w) % s.h;
  const std::int64_t n = at / (width * s.w * s.h);
  float sum = addend != nullptr ? static_cast<float>(addend[at]) : 0.0f;
  for (std::int64_t a = 0; a < s.kh && c < s.c; ++a)
    for (std::int64_t b = 0; b < s.kw; ++b) {
      const std::int64_t top = row + s.pad - a, left = column + s.pad - b;
      if (top < 0 || left < 0 || top % s.stride != 0 || left % s.stride != 0) continue;
      const std::int64_t i = top / s.stride, j = left / s.stride;
      if (i >= s.out_h || j >= s.out_w) continue;
      const T* gradient = dy + ((n * s.out_h + i) * s.out_w + j) * s.k;
      const T* tap = w + (a * s.kw + b) * s.c + c;
      for (std::int64_t k = 0; k < s.k; ++k)
        sum += static_cast<float>(gradient[k]) * static_cast<float>(tap[k * s.kh * s.kw * s.c]);
    }
  dx[at] = static_cast<T>(sum);
}

// dw[k, a, b, c]: one thread per element sums over the output pixels.
template <typename T, typename Gradient>
__global__ void backward_weight_kernel(ConvShape s, std::int64_t width, const T* x, const T* dy, Gradient* dw) {
  const std::int64_t at = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (at >= s.k * s.kh * s.kw * s.c) return;
  const std::int64_t c = at % s.c, b = at / s.c % s.kw, a = at / (s.c * s.kw) % s.kh;
  const std::int64_t k = at / (s.c * s.kw * s.kh);
  float sum = 0;
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t i = 0; i < s.out_h; ++i) {
      const std::int64_t row = i * s.stride + a - s.pad;
      if (row < 0 || row >= s.h) continue;
      float of_row = 0;  // a sum per row: a single sum over a large image would lose more precision
      for (std::int64_t j = 0; j < s.out_w; ++j) {
        const std::int64_t column = j * s.stride + b - s.pad;
        if (column < 0 || column >= s.w) continue;
        of_row += static_cast<float>(x[((n * s.h + row) * s.w + column) * width + c]) *
                  static_cast<float>(dy[((n * s.out_h + i) * s.out_w + j) * s.k + k]);
      }
      sum += of_row;
    }
  dw[at] = static_cast<Gradient>(sum);
}

void forward(const ConvShape& s, const Tensor& x, const Tensor& w, Output y) {
  dispatch_cuda("conv2d", x.dtype(), [&]<typename T>(T) {
    launch(forward_kernel<T>, blocks_for(y.numel(), threads), threads, s, x.dim(3), x.data<T>(), w.data<T>(),
           y.data<T>());
  });
}

void backward_data(const ConvShape& s, const Tensor& dy, const Tensor& w, const Tensor& addend, Output dx) {
  dispatch_cuda("conv2d", dy.dtype(), [&]<typename T>(T) {
    launch(backward_data_kernel<T>, blocks_for(dx.numel(), threads), threads, s, dx.dim(3), dy.data<T>(),
           w.data<T>(), addend.defined() ? addend.data<T>() : nullptr, dx.data<T>());
  });
}

void backward_weight(const ConvShape& s, const Tensor& x, const Tensor& dy, Output dw) {
  dispatch_cuda("conv2d", x.dtype(), [&]<typename T>(T) {
    dispatch_cuda("conv2d", dw.dtype(), [&]<typename Gradient>(Gradient) {
      launch(backward_weight_kernel<T, Gradient>, blocks_for(dw.numel(), threads), threads, s, x.dim(3),
             x.data<T>(), dy.data<T>(), dw.data<Gradient>());
    });
  });
}

}  // namespace

const Conv2dKernels conv2d_plain = {forward, backward_data, backward_weight};

}  // namespace kindred::cuda
