// Neighbouring threads take neighbouring channels of a pixel, one pack each, and loop over pixels. The backward
// pass gathers: every input pixel adds up the windows that cover it, in a fixed order, so nothing depends on
// timing.
#include <kindred/engine/cuda/packs.h>
#include <kindred/layers/pooling/kernels.h>

#include <algorithm>
#include <bit>
#include <limits>

namespace kindred {
namespace {

// A divisor that is known before the launch. Channels come in powers of two, nearly always, and a shift takes two
// instructions where a division takes twenty.
struct Divisor {
  int value, shift;  // value == 1 << shift, or shift is -1
  explicit Divisor(int number)
      : value(number),
        shift(std::has_single_bit(static_cast<unsigned>(number))
                  ? std::countr_zero(static_cast<unsigned>(number))
                  : -1) {}
  __device__ int quotient(int dividend) const { return shift >= 0 ? dividend >> shift : dividend / value; }
};

// The extents of the images and the window, in 32 bits, because a GPU divides 32-bit numbers several times
// faster than 64-bit ones.
struct Geometry {
  int height, width, channels;  // of x and dx
  int out_height, out_width;    // of y and dy
  int kernel, stride, pad;
  Divisor packs;  // of a pixel
};

Geometry geometry_of(const Shape& x, const Shape& y, const Window& window, int pack) {
  const auto narrow = [](std::int64_t value) { return static_cast<int>(value); };
  return {narrow(x[1]),          narrow(x[2]),       narrow(x[3]),
          narrow(y[1]),          narrow(y[2]),       narrow(window.kernel),
          narrow(window.stride), narrow(window.pad), Divisor(narrow(x[3]) / pack)};
}

// ResNet's window, of 3 x 3 pixels and stride 2, for which there are kernels without loops over the window.
bool is_usual(const Window& window) {
  return window.kernel == 3 && window.stride == 2;
}

constexpr int most_row_threads = 256;

// The threads of a block that processes `items` in turns: whole warps, and as many in the last turn as in the others.
// 448 items (56 pixels of 64 channels in 16 bits) take two turns of 224 threads.
int row_threads(std::int64_t items) {
  const std::int64_t turns = (items + most_row_threads - 1) / most_row_threads;
  return static_cast<int>(((items + turns - 1) / turns + cuda::warp - 1) / cuda::warp * cuda::warp);
}

// The largest values so far of `pack` channels, and where they are in the window.
template <int pack>
struct Largest {
  float value[pack];
  int place[pack];

  __device__ explicit Largest(int first_place) {
#pragma unroll
    for (int k = 0; k < pack; ++k) {
      value[k] = -std::numeric_limits<float>::infinity();
      place[k] = first_place;
    }
  }
  // Of a window whose first pixel is there.
  template <typename T>
  __device__ void begin(const cuda::Pack<T, pack>& values) {
#pragma unroll
    for (int k = 0; k < pack; ++k) {
      value[k] = values.element[k];
      place[k] = 0;
    }
  }
  template <typename T>
  __device__ void take(const cuda::Pack<T, pack>& values, int here) {
#pragma unroll
    for (int k = 0; k < pack; ++k) {
      const float candidate = values.element[k];
      if (candidate > value[k] || candidate != candidate) {  // the second test finds a NaN
        value[k] = candidate;
        place[k] = here;
      }
    }
  }
};

// One block for each row of y. `pack` is the number of channels that a thread processes. With `usual`, windows that lie
// inside the image are read by nine loads before the first comparison. The others, at an edge, take the loops.
template <typename T, int pack, bool usual>
__global__ void __launch_bounds__(most_row_threads)
    max_forward_kernel(const T* x, T* y, std::uint8_t* argmax, Geometry g) {
  const int row = static_cast<int>(blockIdx.x);
  const int top = row % g.out_height * g.stride - g.pad;
  const int first_h = std::max(0, -top), last_h = std::min(g.kernel, g.height - top);
  const T* image = x + std::int64_t{row / g.out_height} * g.height * g.width * g.channels;
  const int items = g.out_width * g.packs.value;
  for (int item = static_cast<int>(threadIdx.x); item < items; item += static_cast<int>(blockDim.x)) {
    const int column = g.packs.quotient(item);
    const int channel = (item - column * g.packs.value) * pack;
    const int left = column * g.stride - g.pad;
    const int first_w = std::max(0, -left), last_w = std::min(g.kernel, g.width - left);
    const auto pixel = [&](int h, int w) {
      return cuda::load<pack>(image + (std::int64_t{top + h} * g.width + left + w) * g.channels + channel);
    };
    Largest<pack> largest(first_h * g.kernel + first_w);
    if (usual && last_h - first_h == 3 && last_w - first_w == 3) {
      cuda::Pack<T, pack> values[9];
#pragma unroll
      for (int at = 0; at < 9; ++at) values[at] = pixel(at / 3, at % 3);
      largest.begin(values[0]);
#pragma unroll
      for (int at = 1; at < 9; ++at) largest.take(values[at], at);
    } else {
      for (int h = first_h; h < last_h; ++h)
        for (int w = first_w; w < last_w; ++w) largest.take(pixel(h, w), h * g.kernel + w);
    }
    cuda::Pack<T, pack> values;
    cuda::Pack<std::uint8_t, pack> places;
#pragma unroll
    for (int k = 0; k < pack; ++k) {
      values.element[k] = T(largest.value[k]);
      places.element[k] = static_cast<std::uint8_t>(largest.place[k]);
    }
    const std::int64_t at = (std::int64_t{row} * items + item) * pack;
    cuda::store(y + at, values);
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
  const int items = g.width * g.packs.value;
  for (int item = static_cast<int>(threadIdx.x); item < items; item += static_cast<int>(blockDim.x)) {
    const int column = g.packs.quotient(item);
    const int channel = (item - column * g.packs.value) * pack;
    const int padded_w = column + g.pad;
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
    cuda::store(dx + (std::int64_t{row} * items + item) * pack, result);
  }
}

// The usual window. Counted with the padding, pixels 2a and 2a + 1 of an axis are covered by windows a and a - 1 alone:
//
//   pixel 2a      is the first of window a and the last of window a - 1
//   pixel 2a + 1  is the middle one of window a
//
// So a thread takes a square of 2 x 2 pixels. It reads four gradients with their places, all before the first use, where
// four threads of the general kernel read nine, and no thread of a warp waits for others that have more windows. Sums
// have the order of the general kernel. One block for each row of squares.
template <typename T, int pack>
__global__ void __launch_bounds__(most_row_threads)
    max_backward_usual_kernel(const std::uint8_t* argmax, const T* dy, T* dx, int square_rows, Geometry g) {
  const int row = static_cast<int>(blockIdx.x), image = row / square_rows, a = row % square_rows;
  const int items = (g.width + g.pad + 1) / 2 * g.packs.value;
  for (int item = static_cast<int>(threadIdx.x); item < items; item += static_cast<int>(blockDim.x)) {
    const int b = g.packs.quotient(item);
    const int channel = (item - b * g.packs.value) * pack;
    cuda::Pack<T, pack> gradient[2][2];  // of windows a and a - 1, b and b - 1
    cuda::Pack<std::uint8_t, pack> places[2][2];
#pragma unroll
    for (int window = 0; window < 4; ++window) {
      const int oh = a - window / 2, ow = b - window % 2;
      const bool exists = oh >= 0 && oh < g.out_height && ow >= 0 && ow < g.out_width;
      auto& found = places[window / 2][window % 2];
      if (exists) {
        const std::int64_t at =
            ((std::int64_t{image} * g.out_height + oh) * g.out_width + ow) * g.channels + channel;
        gradient[window / 2][window % 2] = cuda::load<pack>(dy + at);
        found = cuda::load<pack>(argmax + at);
      } else {
        gradient[window / 2][window % 2] = {};
#pragma unroll
        for (int k = 0; k < pack; ++k) found.element[k] = 255;  // no place of a window
      }
    }
#pragma unroll
    for (int pixel = 0; pixel < 4; ++pixel) {
      const int odd_h = pixel / 2, odd_w = pixel % 2;
      float sum[pack] = {};
#pragma unroll
      for (int i = 0; i < 2 - odd_h; ++i)
#pragma unroll
        for (int j = 0; j < 2 - odd_w; ++j)
#pragma unroll
          for (int k = 0; k < pack; ++k)
            if (places[i][j].element[k] == (odd_h + 2 * i) * 3 + odd_w + 2 * j)
              sum[k] += static_cast<float>(gradient[i][j].element[k]);
      const int h = 2 * a + odd_h - g.pad, w = 2 * b + odd_w - g.pad;
      if (h < 0 || h >= g.height || w < 0 || w >= g.width) continue;
      cuda::Pack<T, pack> result;
#pragma unroll
      for (int k = 0; k < pack; ++k) result.element[k] = T(sum[k]);
      cuda::store(dx + ((std::int64_t{image} * g.height + h) * g.width + w) * g.channels + channel, result);
    }
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
  cuda::dispatch_cuda("max_pool2d", x.dtype(), [&]<typename T>(T) {
    const T* input = x.data<T>();
    T* output = y.data<T>();
    auto* places = argmax.data<std::uint8_t>();
    const bool full = whole_packs<T>(x.dim(3)) && cuda::packs_fit<T>(input, output, places);
    cuda::with_width<T>(full, [&]<int pack>() {
      const Geometry geometry = geometry_of(x.shape(), y.shape(), window, pack);
      const auto kernel =
          is_usual(window) ? max_forward_kernel<T, pack, true> : max_forward_kernel<T, pack, false>;
      cuda::launch(kernel, cuda::blocks_for(y.dim(0) * y.dim(1), 1),
                   row_threads(y.dim(2) * geometry.packs.value), input, output, places, geometry);
    });
  });
}

void max_backward(const Tensor& argmax, const Tensor& dy, const Window& window, Output dx) {
  if (dx.numel() == 0) return;
  cuda::dispatch_cuda("max_pool2d", dy.dtype(), [&]<typename T>(T) {
    const auto* places = argmax.data<std::uint8_t>();
    const T* gradient = dy.data<T>();
    T* result = dx.data<T>();
    const bool full = whole_packs<T>(dx.dim(3)) && cuda::packs_fit<T>(places, gradient, result);
    cuda::with_width<T>(full, [&]<int pack>() {
      const Geometry geometry = geometry_of(dx.shape(), dy.shape(), window, pack);
      if (is_usual(window)) {
        const std::int64_t rows = (dx.dim(1) + window.pad + 1) / 2, columns = (dx.dim(2) + window.pad + 1) / 2;
        cuda::launch(max_backward_usual_kernel<T, pack>, cuda::blocks_for(dx.dim(0) * rows, 1),
                     row_threads(columns * geometry.packs.value), places, gradient, result, rows, geometry);
      } else {
        cuda::launch(max_backward_kernel<T, pack>, cuda::blocks_for(dx.dim(0) * dx.dim(1), 1),
                     row_threads(dx.dim(2) * geometry.packs.value), places, gradient, result, geometry);
      }
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
