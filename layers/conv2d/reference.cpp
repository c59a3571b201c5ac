// The definition of the convolution and of its two gradients: seven nested loops each.
#include <kindred/engine/kernels/dispatch.h>
#include <kindred/layers/conv2d/kernels.h>

#include <algorithm>

namespace kindred {
namespace {

// Calls visit(pixel of y, row of the filter, pixel of x) for every pair of pixels that a filter tap connects.
template <typename Visit>
void for_each_tap(const ConvShape& s, Visit&& visit) {
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t i = 0; i < s.out_h; ++i)
      for (std::int64_t j = 0; j < s.out_w; ++j)
        for (std::int64_t a = 0; a < s.kh; ++a)
          for (std::int64_t b = 0; b < s.kw; ++b) {
            const std::int64_t row = i * s.stride + a - s.pad, column = j * s.stride + b - s.pad;
            if (row < 0 || row >= s.h || column < 0 || column >= s.w) continue;  // zero padding
            visit((n * s.out_h + i) * s.out_w + j, a * s.kw + b, (n * s.h + row) * s.w + column);
          }
}

template <typename T>
void forward(const ConvShape& s, const T* x, const T* w, T* y) {
  std::fill_n(y, s.y_elements(), T{0});
  for_each_tap(s, [&](std::int64_t out, std::int64_t tap, std::int64_t in) {
    for (std::int64_t k = 0; k < s.k; ++k) {
      T sum = 0;
      for (std::int64_t c = 0; c < s.c; ++c) sum += x[in * s.c + c] * w[(k * s.kh * s.kw + tap) * s.c + c];
      y[out * s.k + k] += sum;
    }
  });
}

template <typename T>
void backward_data(const ConvShape& s, const T* dy, const T* w, const T* addend, T* dx) {
  const std::int64_t count = s.x_elements();
  if (addend)
    std::copy_n(addend, count, dx);
  else
    std::fill_n(dx, count, T{0});
  for_each_tap(s, [&](std::int64_t out, std::int64_t tap, std::int64_t in) {
    for (std::int64_t k = 0; k < s.k; ++k)
      for (std::int64_t c = 0; c < s.c; ++c)
        dx[in * s.c + c] += dy[out * s.k + k] * w[(k * s.kh * s.kw + tap) * s.c + c];
  });
}

template <typename T>
void backward_weight(const ConvShape& s, const T* x, const T* dy, T* dw) {
  std::fill_n(dw, s.filter_elements(), T{0});
  for_each_tap(s, [&](std::int64_t out, std::int64_t tap, std::int64_t in) {
    for (std::int64_t k = 0; k < s.k; ++k)
      for (std::int64_t c = 0; c < s.c; ++c)
        dw[(k * s.kh * s.kw + tap) * s.c + c] += dy[out * s.k + k] * x[in * s.c + c];
  });
}

}  // namespace

const Conv2dKernels conv2d_reference = {
    .forward =
        [](const ConvShape& shape, const Tensor& x, const Tensor& w, Output y) {
          dispatch_reference("conv2d", x.dtype(),
                             [&]<typename T>(T) { forward<T>(shape, x.data<T>(), w.data<T>(), y.data<T>()); });
        },
    .backward_data =
        [](const ConvShape& shape, const Tensor& dy, const Tensor& w, const Tensor& addend, Output dx) {
          dispatch_reference("conv2d", dy.dtype(), [&]<typename T>(T) {
            backward_data<T>(shape, dy.data<T>(), w.data<T>(), addend.defined() ? addend.data<T>() : nullptr,
                             dx.data<T>());
          });
        },
    .backward_weight =
        [](const ConvShape& shape, const Tensor& x, const Tensor& dy, Output dw) {
          dispatch_reference("conv2d", x.dtype(), [&]<typename T>(T) {
            backward_weight<T>(shape, x.data<T>(), dy.data<T>(), dw.data<T>());
          });
        },
    .adds_freely = [](const ConvShape&, DType) { return true; },
};

}  // namespace kindred
