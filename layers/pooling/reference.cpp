#include <kindred/engine/kernels/dispatch.h>
#include <kindred/layers/pooling/kernels.h>

#include <algorithm>
#include <limits>

namespace kindred {
namespace {

// Calls body(output, input, place) for every output element and every input element in its window, in row-major
// order. output and input are flat indices; place is the position in the window.
template <typename Body>
void for_each_pair(const Shape& x, const Shape& y, const Window& window, Body&& body) {
  for (std::int64_t n = 0; n < y[0]; ++n)
    for (std::int64_t oh = 0; oh < y[1]; ++oh)
      for (std::int64_t ow = 0; ow < y[2]; ++ow)
        for (std::int64_t c = 0; c < y[3]; ++c)
          for (std::int64_t place = 0; place < window.kernel * window.kernel; ++place) {
            const std::int64_t h = oh * window.stride - window.pad + place / window.kernel;
            const std::int64_t w = ow * window.stride - window.pad + place % window.kernel;
            if (h < 0 || h >= x[1] || w < 0 || w >= x[2]) continue;
            body(((n * y[1] + oh) * y[2] + ow) * y[3] + c, ((n * x[1] + h) * x[2] + w) * x[3] + c, place);
          }
}

template <typename T>
void max_forward(const Tensor& x, const Window& window, Output y, Output argmax) {
  std::int64_t previous = -1;
  for_each_pair(x.shape(), y.shape(), window, [&](std::int64_t output, std::int64_t input, std::int64_t place) {
    const T value = x.data<T>()[input];
    T& best = y.data<T>()[output];
    const bool first = output != previous;
    previous = output;
    if (!first && !(value > best) && value == value) return;  // value != value: a NaN
    best = value;
    argmax.data<std::uint8_t>()[output] = static_cast<std::uint8_t>(place);
  });
}

template <typename T>
void max_backward(const Tensor& argmax, const Tensor& dy, const Window& window, Output dx) {
  std::fill(dx.data<T>(), dx.data<T>() + dx.numel(), T{0});
  for_each_pair(dx.shape(), dy.shape(), window,
                [&](std::int64_t output, std::int64_t input, std::int64_t place) {
                  if (argmax.data<std::uint8_t>()[output] == place) dx.data<T>()[input] += dy.data<T>()[output];
                });
}

template <typename T>
void average_forward(const Tensor& x, Output y) {
  const std::int64_t pixels = x.dim(1) * x.dim(2), channels = x.dim(3);
  for (std::int64_t n = 0; n < x.dim(0); ++n)
    for (std::int64_t c = 0; c < channels; ++c) {
      T sum = 0;
      for (std::int64_t p = 0; p < pixels; ++p) sum += x.data<T>()[(n * pixels + p) * channels + c];
      y.data<T>()[n * channels + c] = sum / static_cast<T>(pixels);
    }
}

template <typename T>
void average_backward(const Tensor& dy, Output dx) {
  const std::int64_t pixels = dx.dim(1) * dx.dim(2), channels = dx.dim(3);
  for (std::int64_t n = 0; n < dx.dim(0); ++n)
    for (std::int64_t p = 0; p < pixels; ++p)
      for (std::int64_t c = 0; c < channels; ++c)
        dx.data<T>()[(n * pixels + p) * channels + c] = dy.data<T>()[n * channels + c] / static_cast<T>(pixels);
}

}  // namespace

const PoolingKernels pooling_reference = {
    [](const Tensor& x, const Window& window, Output y, Output argmax) {
      dispatch_reference("max_pool2d", x.dtype(), [&]<typename T>(T) { max_forward<T>(x, window, y, argmax); });
    },
    [](const Tensor& argmax, const Tensor& dy, const Window& window, Output dx) {
      dispatch_reference("max_pool2d", dy.dtype(),
                         [&]<typename T>(T) { max_backward<T>(argmax, dy, window, dx); });
    },
    [](const Tensor& x, Output y) {
      dispatch_reference("global_average_pool", x.dtype(), [&]<typename T>(T) { average_forward<T>(x, y); });
    },
    [](const Tensor& dy, Output dx) {
      dispatch_reference("global_average_pool", dy.dtype(),
                         [&]<typename T>(T) { average_backward<T>(dy, dx); });
    },
};

}  // namespace kindred
