// Loops over the channels of one pixel, which are adjacent in memory, become vector code. Each thread writes
// its own rows, in the backward pass too: every input pixel gathers from the windows that cover it, so nothing
// depends on timing.
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/kernels/dispatch.h>
#include <kindred/layers/pooling/kernels.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace kindred {
namespace {

// Takes the larger of `best` and `values`, and its place in the window.
template <typename T>
void take_larger(const T* values, std::uint8_t place, std::int64_t channels, float* best,
                 std::uint8_t* argmax) {
  for (std::int64_t c = 0; c < channels; ++c) {
    const float value = values[c];
    const bool larger = value > best[c] || value != value;  // the second test finds a NaN
    best[c] = larger ? value : best[c];
    argmax[c] = larger ? place : argmax[c];
  }
}

template <typename T>
void max_forward(const Tensor& x, const Window& window, Output y, Output argmax) {
  const std::int64_t height = x.dim(1), width = x.dim(2), channels = x.dim(3);
  const std::int64_t out_height = y.dim(1), out_width = y.dim(2);
  const T* input = x.data<T>();
  T* output = y.data<T>();
  std::uint8_t* places = argmax.data<std::uint8_t>();
  parallel_for(y.dim(0) * out_height, 1, [=](std::int64_t begin, std::int64_t end) {
    std::vector<float> best(static_cast<std::size_t>(channels));
    for (std::int64_t row = begin; row < end; ++row) {
      const T* image = input + row / out_height * height * width * channels;
      const std::int64_t top = row % out_height * window.stride - window.pad;
      for (std::int64_t ow = 0; ow < out_width; ++ow) {
        const std::int64_t left = ow * window.stride - window.pad;
        const std::int64_t first_h = std::max<std::int64_t>(0, -top),
                           first_w = std::max<std::int64_t>(0, -left);
        const std::int64_t last_h = std::min(window.kernel, height - top),
                           last_w = std::min(window.kernel, width - left);
        std::uint8_t* place = places + (row * out_width + ow) * channels;
        std::fill(best.begin(), best.end(), -std::numeric_limits<float>::infinity());
        std::fill(place, place + channels, static_cast<std::uint8_t>(first_h * window.kernel + first_w));
        for (std::int64_t h = first_h; h < last_h; ++h)
          for (std::int64_t w = first_w; w < last_w; ++w)
            take_larger(image + ((top + h) * width + left + w) * channels,
                        static_cast<std::uint8_t>(h * window.kernel + w), channels, best.data(), place);
        T* result = output + (row * out_width + ow) * channels;
        for (std::int64_t c = 0; c < channels; ++c) result[c] = T(best[static_cast<std::size_t>(c)]);
      }
    }
  });
}

template <typename T>
void add_where_found(const T* gradient, const std::uint8_t* argmax, std::uint8_t place, std::int64_t channels,
                     float* sum) {
  for (std::int64_t c = 0; c < channels; ++c) {
    const float value = gradient[c];
    sum[c] += argmax[c] == place ? value : 0.0f;
  }
}

// The windows, along one axis, that cover position `at`: [first, last).
struct Range {
  std::int64_t first, last;
};
Range windows_over(std::int64_t at, const Window& window, std::int64_t count) {
  const std::int64_t past_start = at + window.pad - window.kernel;  // the last window that ends before `at`
  return {past_start < 0 ? 0 : past_start / window.stride + 1,
          std::min(count, (at + window.pad) / window.stride + 1)};
}

template <typename T>
void max_backward(const Tensor& argmax, const Tensor& dy, const Window& window, Output dx) {
  const std::int64_t height = dx.dim(1), width = dx.dim(2), channels = dx.dim(3);
  const std::int64_t out_height = dy.dim(1), out_width = dy.dim(2);
  const T* gradient = dy.data<T>();
  const std::uint8_t* places = argmax.data<std::uint8_t>();
  T* result = dx.data<T>();
  parallel_for(dx.dim(0) * height, 1, [=](std::int64_t begin, std::int64_t end) {
    std::vector<float> sum(static_cast<std::size_t>(channels));
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t n = row / height, h = row % height;
      const Range over_h = windows_over(h, window, out_height);
      for (std::int64_t w = 0; w < width; ++w) {
        const Range over_w = windows_over(w, window, out_width);
        std::fill(sum.begin(), sum.end(), 0.0f);
        for (std::int64_t oh = over_h.first; oh < over_h.last; ++oh)
          for (std::int64_t ow = over_w.first; ow < over_w.last; ++ow) {
            const std::int64_t kh = h + window.pad - oh * window.stride,
                               kw = w + window.pad - ow * window.stride;
            const std::int64_t at = ((n * out_height + oh) * out_width + ow) * channels;
            add_where_found(gradient + at, places + at, static_cast<std::uint8_t>(kh * window.kernel + kw),
                            channels, sum.data());
          }
        T* pixel = result + (row * width + w) * channels;
        for (std::int64_t c = 0; c < channels; ++c) pixel[c] = T(sum[static_cast<std::size_t>(c)]);
      }
    }
  });
}

template <typename T>
void average_forward(const Tensor& x, Output y) {
  const std::int64_t pixels = x.dim(1) * x.dim(2), channels = x.dim(3);
  const T* input = x.data<T>();
  T* output = y.data<T>();
  parallel_for(x.dim(0), 1, [=](std::int64_t begin, std::int64_t end) {
    std::vector<float> sum(static_cast<std::size_t>(channels));
    for (std::int64_t n = begin; n < end; ++n) {
      std::fill(sum.begin(), sum.end(), 0.0f);
      for (std::int64_t p = 0; p < pixels; ++p)
        for (std::int64_t c = 0; c < channels; ++c)
          sum[static_cast<std::size_t>(c)] += float(input[(n * pixels + p) * channels + c]);
      for (std::int64_t c = 0; c < channels; ++c)
        output[n * channels + c] = T(sum[static_cast<std::size_t>(c)] / static_cast<float>(pixels));
    }
  });
}

template <typename T>
void average_backward(const Tensor& dy, Output dx) {
  const std::int64_t pixels = dx.dim(1) * dx.dim(2), channels = dx.dim(3);
  const T* gradient = dy.data<T>();
  T* result = dx.data<T>();
  parallel_for(dx.dim(0), 1, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n)
      for (std::int64_t p = 0; p < pixels; ++p)
        for (std::int64_t c = 0; c < channels; ++c)
          result[(n * pixels + p) * channels + c] =
              T(float(gradient[n * channels + c]) / static_cast<float>(pixels));
  });
}

}  // namespace

const PoolingKernels pooling_cpu = {
    [](const Tensor& x, const Window& window, Output y, Output argmax) {
      dispatch_cpu("max_pool2d", x.dtype(), [&]<typename T>(T) { max_forward<T>(x, window, y, argmax); });
    },
    [](const Tensor& argmax, const Tensor& dy, const Window& window, Output dx) {
      dispatch_cpu("max_pool2d", dy.dtype(), [&]<typename T>(T) { max_backward<T>(argmax, dy, window, dx); });
    },
    [](const Tensor& x, Output y) {
      dispatch_cpu("global_average_pool", x.dtype(), [&]<typename T>(T) { average_forward<T>(x, y); });
    },
    [](const Tensor& dy, Output dx) {
      dispatch_cpu("global_average_pool", dy.dtype(), [&]<typename T>(T) { average_backward<T>(dy, dx); });
    },
};

}  // namespace kindred
