// Batch normalization in NHWC on a GPU. Every pass is memory-bound: it reads and writes its tensors once and
// computes in float. rows.cuh describes how threads share a tensor.
//
// The sums over rows have two stages in a fixed order, so every run gives the same result. They are float
// inside a thread and double from there on. Each block writes the sums of its rows, and a second small kernel
// adds the blocks.
#include <kindred/engine/cuda/launch.h>
#include <kindred/layers/batch_norm/kernels.h>
#include <kindred/layers/batch_norm/merge.h>
#include <kindred/layers/batch_norm/rows.cuh>

#include <cmath>

namespace kindred {
namespace {

using namespace cuda;

// The values of a row that the backward passes read. `mask` and `x` may be null.
template <typename T, int width>
struct GradientItem {
  Values<T, width> dy, x;
  unsigned bits;

  __device__ float dz(int i) const { return (bits >> i) & 1 ? dy[i] : 0.0f; }
};

template <int width, typename T>
__device__ GradientItem<T, width> load_gradient(const T* dy, const std::uint8_t* mask, const T* x,
                                                std::int64_t at) {
  GradientItem<T, width> item;
  item.dy = load<width>(dy + at);
  if (x != nullptr) item.x = load<width>(x + at);
  item.bits = mask != nullptr ? static_cast<unsigned>(mask[at / 8]) >> (at % 8) : ~0u;
  return item;
}

// Two sums for each channel over the rows of a block's segment: partial [segments, 2, channels].
template <int width, typename Terms>
__global__ void __launch_bounds__(threads, resident)
    sums_kernel(Terms terms, Layout layout, double* __restrict__ partial) {
  __shared__ float sums[2 * width][threads];
  const Walk walk = walk_of<width>(layout);
  float first[width] = {}, second[width] = {};
  if (!walk.idle) {
    const auto center = terms.center(walk.channel);
    for_rows<Terms::batch>(
        walk, [&](std::int64_t at) { return terms.load_item(at); },
        [&](std::int64_t, const auto& item) {
#pragma unroll
          for (int i = 0; i < width; ++i) terms.add(item, i, center[i], first[i], second[i]);
        });
  }
#pragma unroll
  for (int i = 0; i < width; ++i) {
    sums[i][threadIdx.x] = first[i];
    sums[width + i][threadIdx.x] = second[i];
  }
  __syncthreads();
  const int across = layout.columns * width, stacked = threads / layout.columns;
  for (int k = static_cast<int>(threadIdx.x); k < 2 * across; k += threads) {
    const int which = k / across, column = k % across / width, i = k % width;
    const std::int64_t c = std::int64_t{blockIdx.x} * across + k % across;
    if (c >= layout.channels) continue;
    double sum = 0;
    for (int row = 0; row < stacked; ++row)
      sum += static_cast<double>(sums[which * width + i][row * layout.columns + column]);
    partial[(2 * std::int64_t{blockIdx.y} + which) * layout.channels + c] = sum;
  }
}

constexpr int merged_channels = 8;
constexpr int merging_lanes = threads / merged_channels;

// Adds up the segments and passes each channel's sums to terms.finish().
template <typename Terms>
__global__ void merge_kernel(Terms terms, const double* __restrict__ partial, std::int64_t segments,
                             std::int64_t channels) {
  __shared__ double sums[2][merging_lanes][merged_channels];
  const int lane = static_cast<int>(threadIdx.x) / merged_channels;
  const int column = static_cast<int>(threadIdx.x) % merged_channels;
  const std::int64_t c = std::int64_t{blockIdx.x} * merged_channels + column;
  double first = 0, second = 0;
  for (std::int64_t s = lane; c < channels && s < segments; s += merging_lanes) {
    first += partial[2 * s * channels + c];
    second += partial[(2 * s + 1) * channels + c];
  }
  sums[0][lane][column] = first;
  sums[1][lane][column] = second;
  __syncthreads();
  if (lane > 0 || c >= channels) return;
  for (int l = 1; l < merging_lanes; ++l) {
    first += sums[0][l][column];
    second += sums[1][l][column];
  }
  terms.finish(c, first, second);
}

template <int width, typename Terms>
void channel_sums(const Tensor& x, const Terms& terms) {
  const Layout layout = layout_of(x, width, one_wave);
  const Tensor partial = Tensor::empty({layout.segments, 2, layout.channels}, DType::f64, Device::cuda);
  launch(sums_kernel<width, Terms>, layout.grid(), threads, terms, layout, partial.data<double>());
  launch(merge_kernel<Terms>, blocks_for(layout.channels, merged_channels), threads, terms,
         partial.data<double>(), layout.segments, layout.channels);
}

// Mean and variance from the sums of x - pivot and of its square, where the pivot is the first row. Sums of
// squares of x itself would lose the variance of a channel whose mean is much larger than its deviation.
template <typename T, int width>
struct Moments {
  static constexpr int batch = batch_rows<T, width, 64>;
  const T* x;
  std::int64_t rows;
  float *mean, *variance;

  __device__ Values<T, width> center(std::int64_t c) const { return load<width>(x + c); }
  __device__ Values<T, width> load_item(std::int64_t at) const { return load<width>(x + at); }
  __device__ void add(const Values<T, width>& item, int i, float pivot, float& sum, float& squares) const {
    const float shifted = item[i] - pivot;
    sum += shifted;
    squares += shifted * shifted;
  }
  __device__ void finish(std::int64_t c, double sum, double squares) const {
    const double shift = sum / static_cast<double>(rows);
    const double v = squares / static_cast<double>(rows) - shift * shift;
    mean[c] = static_cast<float>(static_cast<double>(static_cast<float>(x[c])) + shift);
    variance[c] = static_cast<float>(v < 0 ? 0.0 : v);  // a NaN stays, so that it is noticed
  }
};

// d_bias and d_scale, from the sums of dz and of dz * (x - mean).
template <typename T, int width>
struct ParameterGradients {
  static constexpr int batch = batch_rows<T, width, 32>;
  const T* dy;
  const std::uint8_t* mask;
  const T* x;
  const float *mean, *inv_std;
  float *d_scale, *d_bias;

  __device__ Values<float, width> center(std::int64_t c) const { return load<width>(mean + c); }
  __device__ GradientItem<T, width> load_item(std::int64_t at) const {
    return load_gradient<width>(dy, mask, x, at);
  }
  __device__ void add(const GradientItem<T, width>& item, int i, float center, float& sum, float& dot) const {
    sum += item.dz(i);
    dot += item.dz(i) * (item.x[i] - center);
  }
  __device__ void finish(std::int64_t c, double sum, double dot) const {
    d_bias[c] = static_cast<float>(sum);
    d_scale[c] = static_cast<float>(dot * static_cast<double>(inv_std[c]));
  }
};

template <typename T>
T* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data<T>() : nullptr;
}

void statistics(const Tensor& x, Output mean, Output variance) {
  dispatch_cuda("batch_norm", x.dtype(), [&]<typename T>(T) {
    dispatch_width(x, [&]<typename Width>(Width) {
      const std::int64_t rows = x.numel() / x.shape().back();
      channel_sums<Width::value>(
          x, Moments<T, Width::value>{x.data<T>(), rows, mean.data<float>(), variance.data<float>()});
    });
  });
}

void reduce(const Tensor& dy, const Tensor& mask, const Tensor& x, const BatchNormChannels& channels,
            Output d_scale, Output d_bias) {
  dispatch_cuda("batch_norm", x.dtype(), [&]<typename T>(T) {
    dispatch_width(x, [&]<typename Width>(Width) {
      channel_sums<Width::value>(
          x, ParameterGradients<T, Width::value>{dy.data<T>(), data_or_null<std::uint8_t>(mask), x.data<T>(),
                                                 channels.mean.data<float>(), channels.inv_std.data<float>(),
                                                 d_scale.data<float>(), d_bias.data<float>()});
    });
  });
}

// y = (x - mean) * slope + bias, then the residual (if not null) and the ReLU.
struct Affine {
  const float *mean, *inv_std, *scale, *bias;
};

template <typename T>
struct ApplyItem {
  Values<T, 8> x, residual;
};

template <typename T>
__global__ void __launch_bounds__(threads, resident)
    apply_kernel(const T* __restrict__ x, Affine affine, const T* __restrict__ residual, bool relu,
                 std::uint8_t* __restrict__ mask, T* __restrict__ y, Layout layout) {
  constexpr int width = 8;
  const Walk walk = walk_of<width>(layout);
  if (walk.idle) return;
  const auto mean = load<width>(affine.mean + walk.channel),
             inv_std = load<width>(affine.inv_std + walk.channel),
             scale = load<width>(affine.scale + walk.channel), bias = load<width>(affine.bias + walk.channel);
  float slope[width];
#pragma unroll
  for (int i = 0; i < width; ++i) slope[i] = scale[i] * inv_std[i];
  for_rows<batch_rows<T, width, 32>>(
      walk,
      [&](std::int64_t at) {
        ApplyItem<T> item;
        item.x = load<width>(x + at);
        if (residual != nullptr) item.residual = load<width>(residual + at);
        return item;
      },
      [&](std::int64_t at, const ApplyItem<T>& item) {
        float value[width];
        unsigned bits = 0;
#pragma unroll
        for (int i = 0; i < width; ++i) {
          value[i] = (item.x[i] - mean[i]) * slope[i] + bias[i];
          if (residual != nullptr) value[i] += item.residual[i];
          const bool pass = !relu || !(value[i] <= 0);  // a NaN passes: it must reach the loss
          bits |= static_cast<unsigned>(pass) << i;
          value[i] = pass ? value[i] : 0.0f;
        }
        store(y + at, value);
        if (mask != nullptr) mask[at / 8] = static_cast<std::uint8_t>(bits);
      });
}

// For any number of channels: a thread takes eight elements in memory order, regardless of rows, so that each
// byte of the mask is written by one thread.
template <typename T>
__global__ void apply_scalars_kernel(const T* x, Affine affine, const T* residual, bool relu,
                                     std::uint8_t* mask, T* y, std::int64_t channels, std::int64_t elements) {
  const std::int64_t byte = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  const std::int64_t begin = 8 * byte, end = std::min(begin + 8, elements);
  if (begin >= end) return;
  unsigned bits = 0;
  for (std::int64_t at = begin; at < end; ++at) {
    const std::int64_t c = at % channels;
    const float slope = affine.scale[c] * affine.inv_std[c];
    float value = (static_cast<float>(x[at]) - affine.mean[c]) * slope + affine.bias[c];
    if (residual != nullptr) value += static_cast<float>(residual[at]);
    const bool pass = !relu || !(value <= 0);
    bits |= static_cast<unsigned>(pass) << (at - begin);
    y[at] = T(pass ? value : 0.0f);
  }
  if (mask != nullptr) mask[byte] = static_cast<std::uint8_t>(bits);
}

void apply(const Tensor& x, const BatchNormChannels& channels, const Tensor& residual, bool relu, Output mask,
           Output y) {
  const Affine affine{channels.mean.data<float>(), channels.inv_std.data<float>(), channels.scale.data<float>(),
                      channels.bias.data<float>()};
  std::uint8_t* bits = data_or_null<std::uint8_t>(mask);
  dispatch_cuda("batch_norm", x.dtype(), [&]<typename T>(T) {
    const std::int64_t width = x.shape().back();
    if (width % 8 == 0) {
      const Layout layout = layout_of(x, 8, many_waves);
      launch(apply_kernel<T>, layout.grid(), threads, x.data<T>(), affine, data_or_null<T>(residual), relu,
             bits, y.data<T>(), layout);
    } else {
      launch(apply_scalars_kernel<T>, blocks_for(mask_bytes(x.numel()), threads), threads, x.data<T>(), affine,
             data_or_null<T>(residual), relu, bits, y.data<T>(), width, x.numel());
    }
  });
}

struct BackwardValues {
  const float *mean, *inv_std, *scale, *d_scale, *d_bias;
  float inverse_count;
};

// dx = slope * dz - offset - (x - mean) * tilt, where everything that does not depend on the row is computed
// once. `x` is null if dx does not depend on it; `mask`, `dx` and `d_residual` may be null.
template <typename T, int width>
__global__ void __launch_bounds__(threads, resident - 1)
    backward_kernel(const T* __restrict__ dy, const std::uint8_t* __restrict__ mask, const T* __restrict__ x,
                    BackwardValues values, T* __restrict__ dx, T* __restrict__ d_residual, Layout layout) {
  const Walk walk = walk_of<width>(layout);
  if (walk.idle) return;
  const auto mean = load<width>(values.mean + walk.channel),
             inv_std = load<width>(values.inv_std + walk.channel),
             scale = load<width>(values.scale + walk.channel),
             d_scale = load<width>(values.d_scale + walk.channel),
             d_bias = load<width>(values.d_bias + walk.channel);
  float slope[width], offset[width], tilt[width];
#pragma unroll
  for (int i = 0; i < width; ++i) {
    slope[i] = scale[i] * inv_std[i];
    offset[i] = slope[i] * d_bias[i] * values.inverse_count;
    tilt[i] = slope[i] * inv_std[i] * d_scale[i] * values.inverse_count;
  }
  for_rows<batch_rows<T, width, 32>>(
      walk, [&](std::int64_t at) { return load_gradient<width>(dy, mask, x, at); },
      [&](std::int64_t at, const GradientItem<T, width>& item) {
        float value[width];
#pragma unroll
        for (int i = 0; i < width; ++i) value[i] = item.dz(i);
        if (d_residual != nullptr) store(d_residual + at, value);
        if (dx == nullptr) return;
#pragma unroll
        for (int i = 0; i < width; ++i) {
          value[i] *= slope[i];
          if (x != nullptr) value[i] -= (item.x[i] - mean[i]) * tilt[i] + offset[i];
        }
        store(dx + at, value);
      });
}

void apply_backward(const Tensor& dy, const Tensor& mask, const Tensor& x, const BatchNormChannels& channels,
                    const BatchNormSums& sums, Output dx, Output d_residual) {
  const BackwardValues values{
      channels.mean.data<float>(),  channels.inv_std.data<float>(),
      channels.scale.data<float>(), sums.d_scale.data<float>(),
      sums.d_bias.data<float>(),    sums.count > 0 ? 1.0f / static_cast<float>(sums.count) : 0.0f};
  dispatch_cuda("batch_norm", dy.dtype(), [&]<typename T>(T) {
    dispatch_width(dy, [&]<typename Width>(Width) {
      const Layout layout = layout_of(dy, Width::value, many_waves);
      launch(backward_kernel<T, Width::value>, layout.grid(), threads, dy.data<T>(),
             data_or_null<std::uint8_t>(mask), sums.count > 0 && dx.defined() ? x.data<T>() : nullptr, values,
             data_or_null<T>(dx), data_or_null<T>(d_residual), layout);
    });
  });
}

struct Running {
  double momentum, count;
  float *mean, *variance;  // null if there are none
};

__global__ void finish_kernel(const float* mean, const float* variance, double epsilon, float* inv_std,
                              Running running, std::int64_t channels) {
  const std::int64_t c = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (c >= channels) return;
  const double v = variance[c], m = running.momentum;
  inv_std[c] = static_cast<float>(1.0 / std::sqrt(v + epsilon));
  if (running.mean == nullptr) return;
  const double unbiased = v * running.count / (running.count - 1);
  running.mean[c] = static_cast<float>((1 - m) * running.mean[c] + m * mean[c]);
  running.variance[c] = static_cast<float>((1 - m) * running.variance[c] + m * unbiased);
}

void finish_statistics(const Tensor& mean, const Tensor& variance, double epsilon, double momentum,
                       std::int64_t count, Output inv_std, Output running_mean, Output running_variance) {
  const Running running{momentum, static_cast<double>(count), data_or_null<float>(running_mean),
                        data_or_null<float>(running_variance)};
  launch(finish_kernel, blocks_for(mean.numel(), threads), threads, mean.data<float>(), variance.data<float>(),
         epsilon, inv_std.data<float>(), running, mean.numel());
}

__global__ void merge_statistics_kernel(const float* other_mean, const float* other_variance, double share,
                                        float* mean, float* variance, std::int64_t channels) {
  const std::int64_t c = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (c >= channels) return;
  const MeanAndVariance both = merged({mean[c], variance[c]}, {other_mean[c], other_variance[c]}, share);
  mean[c] = static_cast<float>(both.mean);
  variance[c] = static_cast<float>(both.variance);
}

void merge(const Tensor& other_mean, const Tensor& other_variance, double share, Output mean, Output variance) {
  launch(merge_statistics_kernel, blocks_for(mean.numel(), threads), threads, other_mean.data<float>(),
         other_variance.data<float>(), share, mean.data<float>(), variance.data<float>(), mean.numel());
}

__global__ void merge_parts_kernel(const float* parts, std::int64_t count, float* mean, float* variance,
                                   std::int64_t channels) {
  const std::int64_t c = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (c >= channels) return;
  const MeanAndVariance all = merged_in_order(parts, count, channels, c);
  mean[c] = static_cast<float>(all.mean);
  variance[c] = static_cast<float>(all.variance);
}

void merge_all(const Tensor& parts, Output mean, Output variance) {
  launch(merge_parts_kernel, blocks_for(mean.numel(), threads), threads, parts.data<float>(), parts.dim(0),
         mean.data<float>(), variance.data<float>(), mean.numel());
}

const BatchNormKernels kernels = {statistics,        apply, reduce,   apply_backward,
                                  finish_statistics, merge, merge_all};

}  // namespace

const BatchNormKernels* const batch_norm_cuda = &kernels;

}  // namespace kindred
