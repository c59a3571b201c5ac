// Neighbouring threads take neighbouring channels of a pixel, one pack each, and loop over pixels. The backward
// pass gathers: every input pixel adds up the windows that cover it, in a fixed order, so nothing depends on
// timing.
#include <kindred/engine/cuda/packs.h>
#include <kindred/layers/pooling/kernels.h>

#include <algorithm>
#include <limits>

namespace kindred {
namespace {

// The extents of the images and the window, in 32 bits, because a GPU divides 32-bit numbers several times
// faster than 64-bit ones.
struct Geometry {
  int height, width, channels;  // of x and dx
  int out_height, out_width;    // of y and dy
  int kernel, stride, pad;
};

Geometry geometry_of(const Shape& x, const Shape& y, const Window& window) {
  const auto narrow = [](std::int64_t value) { return static_cast<int>(value); };
  return {narrow(x[1]), narrow(x[2]),          narrow(x[3]),          narrow(y[1]),
          narrow(y[2]), narrow(window.kernel), narrow(window.stride), narrow(window.pad)};
}

constexpr int row_threads = 256;

// One block for each row of y. `pack` is the number of channels that a thread processes.
template <typename T, int pack>
__global__ void max_forward_kernel(const T* x, T* y, std::uint8_t* argmax, Geometry g) {
  const int row = static_cast<int>(blockIdx.x);
  const int top = row % g.out_height * g.stride - g.pad;
  const int first_h = std::max(0, -top), last_h = std::min(g.kernel, g.height - top);
  const T* image = x + std::int64_t{row / g.out_height} * g.height * g.width * g.channels;
  const int packs = g.channels / pack;
  for (int item = static_cast<int>(threadIdx.x); item < g.out_width * packs; item += row_threads) {
    const int channel = item % packs * pack;
    const int left = item / packs * g.stride - g.pad;
    const int first_w = std::max(0, -left), last_w = std::min(g.kernel, g.width - left);
    float best[pack];
    int place[pack];
    for (int k = 0; k < pack; ++k) {
      best[k] = -std::numeric_limits<float>::infinity();
      place[k] = first_h * g.kernel + first_w;
    }
    for (int h = first_h; h < last_h; ++h)
      for (int w = first_w; w < last_w; ++w) {
        const std::int64_t pixel = std::int64_t{top + h} * g.width + left + w;
        const auto values = cuda::load<pack>(image + pixel * g.channels + channel);
#pragma unroll
        for (int k = 0; k < pack; ++k) {
          const float value = values.element[k];
          if (value > best[k] || value != value) {  // the second test finds a NaN
            best[k] = value;
            place[k] = h * g.kernel + w;
          }
        }
      }
    cuda::Pack<T, pack> largest;
    cuda::Pack<std::uint8_t, pack> places;
    for (int k = 0; k < pack; ++k) {
      largest.element[k] = T(best[k]);
      places.element[k] = static_cast<std::uint8_t>(place[k]);
    }
    const std::int64_t at = (std::int64_t{row} * g.out_width * packs + item) * pack;
    cuda::store(y + at, largest);
    cuda::store(argmax + at, places);
  }
}

// One block for each row of dx. The windows that cover pixel h satisfy oh * stride + kh = h + pad: kh starts at
// the remainder and increases by `stride`, while oh decreases by one. The same holds for w.
template <typename T, int pack>
__global__ void max_backward_kernel(const std::uint8_t* argmax, const T* dy, T* dx, Geometry g) {
  const int row = static_cast<int>(blockIdx.x);
  const std::int64_t first_out_row = std::int64_t{row / g.height} * g.out_height;  // of the same image
  const int padded_h = row % g.height + g.pad;
  const int packs = g.channels / pack;
  for (int item = static_cast<int>(threadIdx.x); item < g.width * packs; item += row_threads) {
    const int channel = item % packs * pack;
    const int padded_w = item / packs + g.pad;
    float sum[pack] = {};
    for (int kh = padded_h % g.stride, oh = padded_h / g.stride; kh < g.kernel && oh >= 0;
         kh += g.stride, --oh) {
      if (oh >= g.out_height) continue;
      for (int kw = padded_w % g.stride, ow = padded_w / g.stride; kw < g.kernel && ow >= 0;
           kw += g.stride, --ow) {
        if (ow >= g.out_width) continue;
        const std::int64_t at = ((first_out_row + oh) * g.out_width + ow) * g.channels + channel;
        const auto gradient = cuda::load<pack>(dy + at);
        const auto places = cuda::load<pack>(argmax + at);
#pragma unroll
        for (int k = 0; k < pack; ++k)
          if (places.element[k] == kh * g.kernel + kw) sum[k] += static_cast<float>(gradient.element[k]);
      }
    }
    cuda::Pack<T, pack> result;
    for (int k = 0; k < pack; ++k) result.element[k] = T(sum[k]);
    cuda::store(dx + (std::int64_t{row} * g.width * packs + item) * pack, result);
  }
}

constexpr int average_threads = 128;

// One thread for each pack of y. `count` is the number of elements of all images.
template <typename T, int pack>
__global__ void average_forward_kernel(const T* x, T* y, std::int64_t count, std::int64_t pixels,
                                       std::int64_t channels) {
  const std::int64_t at = (std::int64_t{blockIdx.x} * average_threads + threadIdx.x) * pack;
  if (at >= count) return;
  const T* from = x + at / channels * pixels * channels + at % channels;
  float sum[pack] = {};
#pragma unroll 4  // loads in flight
  for (std::int64_t p = 0; p < pixels; ++p) {
    const auto values = cuda::load<pack>(from + p * channels);
#pragma unroll
    for (int k = 0; k < pack; ++k) sum[k] += static_cast<float>(values.element[k]);
  }
  cuda::Pack<T, pack> mean;
  for (int k = 0; k < pack; ++k) mean.element[k] = T(sum[k] / static_cast<float>(pixels));
  cuda::store(y + at, mean);
}

template <typename T, int pack>
__global__ void average_backward_kernel(const T* dy, T* dx, std::int64_t count, std::int64_t pixels,
                                        std::int64_t channels) {
  const std::int64_t at = (std::int64_t{blockIdx.x} * average_threads + threadIdx.x) * pack;
  if (at >= count) return;
  auto share = cuda::load<pack>(dy + at);
  for (int k = 0; k < pack; ++k)
    share.element[k] = T(static_cast<float>(share.element[k]) / static_cast<float>(pixels));
  T* to = dx + at / channels * pixels * channels + at % channels;
  for (std::int64_t p = 0; p < pixels; ++p) cuda::store(to + p * channels, share);
}

template <typename T>
bool whole_packs(std::int64_t channels) {
  return channels % cuda::pack_width<T> == 0;
}

void max_forward(const Tensor& x, const Window& window, Output y, Output argmax) {
  if (y.numel() == 0) return;
  const Geometry geometry = geometry_of(x.shape(), y.shape(), window);
  cuda::dispatch_cuda("max_pool2d", x.dtype(), [&]<typename T>(T) {
    const T* input = x.data<T>();
    T* output = y.data<T>();
    auto* places = argmax.data<std::uint8_t>();
    const bool full = whole_packs<T>(x.dim(3)) && cuda::packs_fit<T>(input, output, places);
    cuda::with_width<T>(full, [&]<int pack>() {
      cuda::launch(max_forward_kernel<T, pack>, cuda::blocks_for(y.dim(0) * y.dim(1), 1), row_threads, input,
                   output, places, geometry);
    });
  });
}

void max_backward(const Tensor& argmax, const Tensor& dy, const Window& window, Output dx) {
  if (dx.numel() == 0) return;
  const Geometry geometry = geometry_of(dx.shape(), dy.shape(), window);
  cuda::dispatch_cuda("max_pool2d", dy.dtype(), [&]<typename T>(T) {
    const auto* places = argmax.data<std::uint8_t>();
    const T* gradient = dy.data<T>();
    T* result = dx.data<T>();
    const bool full = whole_packs<T>(dx.dim(3)) && cuda::packs_fit<T>(places, gradient, result);
    cuda::with_width<T>(full, [&]<int pack>() {
      cuda::launch(max_backward_kernel<T, pack>, cuda::blocks_for(dx.dim(0) * dx.dim(1), 1), row_threads,
                   places, gradient, result, geometry);
    });
  });
}

void average_forward(const Tensor& x, Output y) {
  const std::int64_t count = y.numel(), pixels = x.dim(1) * x.dim(2), channels = x.dim(3);
  cuda::dispatch_cuda("global_average_pool", x.dtype(), [&]<typename T>(T) {
    const T* input = x.data<T>();
    T* output = y.data<T>();
    cuda::with_width<T>(whole_packs<T>(channels) && cuda::packs_fit<T>(input, output), [&]<int pack>() {
      cuda::launch(average_forward_kernel<T, pack>, cuda::blocks_for(count, average_threads * pack),
                   average_threads, input, output, count, pixels, channels);
    });
  });
}

void average_backward(const Tensor& dy, Output dx) {
  const std::int64_t count = dy.numel(), pixels = dx.dim(1) * dx.dim(2), channels = dx.dim(3);
  cuda::dispatch_cuda("global_average_pool", dy.dtype(), [&]<typename T>(T) {
    const T* gradient = dy.data<T>();
    T* result = dx.data<T>();
    cuda::with_width<T>(whole_packs<T>(channels) && cuda::packs_fit<T>(gradient, result), [&]<int pack>() {
      cuda::launch(average_backward_kernel<T, pack>, cuda::blocks_for(count, average_threads * pack),
                   average_threads, gradient, result, count, pixels, channels);
    });
  });
}

const PoolingKernels kernels = {max_forward, max_backward, average_forward, average_backward};

}  // namespace

const PoolingKernels* const pooling_cuda = &kernels;

}  // namespace kindred
