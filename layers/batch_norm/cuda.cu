// Batch normalization in NHWC on a GPU: statistics, and the pass forward; cuda_backward.cu has the passes backward.
// Every pass is memory-bound: it reads and writes its tensors once and computes in float. rows.cuh describes how
// threads share a tensor, sums.cuh how sums over the rows come about.
#include <kindred/engine/cuda/launch.h>
#include <kindred/layers/batch_norm/cuda_backward.h>
#include <kindred/layers/batch_norm/kernels.h>
#include <kindred/layers/batch_norm/merge.h>
#include <kindred/layers/batch_norm/sums.cuh>

#include <cmath>

namespace kindred {
namespace {

using namespace cuda;

struct Running {
  double momentum, count;
  float *mean, *variance;  // null if there are none
};

// What finish_statistics() does for a channel. The fused multiply-adds are written out, so that both kernels that do this
// round alike.
struct Finish {
  double epsilon;
  float* inv_std;
  Running running;

  __device__ void channel(std::int64_t c, float mean, float variance) const {
    const double v = variance, m = running.momentum;
    inv_std[c] = static_cast<float>(1.0 / std::sqrt(v + epsilon));
    if (running.mean == nullptr) return;
    const double unbiased = v * running.count / (running.count - 1);
    running.mean[c] = static_cast<float>(fma(m, static_cast<double>(mean), (1 - m) * running.mean[c]));
    running.variance[c] = static_cast<float>(fma(m, unbiased, (1 - m) * running.variance[c]));
  }
};

// Mean and variance from the sums of x - pivot and of its square, where the pivot is the first row. Sums of
// squares of x itself would lose the variance of a channel whose mean is much larger than its deviation.
template <typename T, int width>
struct Moments {
  static constexpr int batch = batch_rows<T, width, 64>;
  const T* x;
  std::int64_t rows;
  float *mean, *variance;
  Finish rest;  // no inv_std: the caller finishes the statistics

  __device__ Values<T, width> center(std::int64_t c) const { return load<width>(x + c); }
  __device__ Values<T, width> load_item(std::int64_t at) const { return load<width>(x + at); }
  __device__ void add(std::int64_t, const Values<T, width>& item, const Values<T, width>& pivot,
                      float (&sum)[width], float (&squares)[width]) const {
#pragma unroll
    for (int i = 0; i < width; ++i) {
      const float shifted = item[i] - pivot[i];
      sum[i] += shifted;
      squares[i] = fmaf(shifted, shifted, squares[i]);
    }
  }
  __device__ void finish(std::int64_t c, double sum, double squares) const {
    const double shift = sum / static_cast<double>(rows);
    const double v = squares / static_cast<double>(rows) - shift * shift;
    const auto m = static_cast<float>(static_cast<double>(static_cast<float>(x[c])) + shift);
    const auto biased = static_cast<float>(v < 0 ? 0.0 : v);  // a NaN stays, so that it is noticed
    mean[c] = m;
    variance[c] = biased;
    if (rest.inv_std != nullptr) rest.channel(c, m, biased);
  }
};

void moments(const Tensor& x, Output mean, Output variance, const Finish& rest) {
  dispatch_cuda("batch_norm", x.dtype(), [&]<typename T>(T) {
    dispatch_width(x, [&]<typename Width>(Width) {
      const std::int64_t rows = x.numel() / x.shape().back();
      channel_sums<Width::value>(
          x, Moments<T, Width::value>{x.data<T>(), rows, mean.data<float>(), variance.data<float>(), rest});
    });
  });
}

void statistics(const Tensor& x, Output mean, Output variance) {
  moments(x, mean, variance, Finish{});
}

Finish finish_of(double epsilon, double momentum, std::int64_t count, Output inv_std, Output running_mean,
                 Output running_variance) {
  return {epsilon, inv_std.data<float>(),
          Running{momentum, static_cast<double>(count), data_or_null<float>(running_mean),
                  data_or_null<float>(running_variance)}};
}

void statistics_and_finish(const Tensor& x, double epsilon, double momentum, std::int64_t count, Output mean,
                           Output variance, Output inv_std, Output running_mean, Output running_variance) {
  moments(x, mean, variance, finish_of(epsilon, momentum, count, inv_std, running_mean, running_variance));
}

// y = (x - mean) * slope + bias, then the residual (if there is one) and the ReLU.
struct Affine {
  const float *mean, *inv_std, *scale, *bias;
};

template <typename T>
struct ApplyItem {
  Values<T, 8> x, residual;
};

template <typename T, bool with_residual, bool masked>
__global__ void __launch_bounds__(threads, resident)
    apply_kernel(const T* __restrict__ x, Affine affine, const T* __restrict__ residual, bool relu,
                 std::uint8_t* __restrict__ mask, T* __restrict__ y, Layout layout) {
  constexpr int width = 8;
  const Walk walk = walk_up<width>(layout);
  if (walk.idle) return;
  const auto mean = load<width>(affine.mean + walk.channel),
             inv_std = load<width>(affine.inv_std + walk.channel),
             scale = load<width>(affine.scale + walk.channel), bias = load<width>(affine.bias + walk.channel);
  float slope[width];
#pragma unroll
  for (int i = 0; i < width; ++i) slope[i] = scale[i] * inv_std[i];
  for_rows<batch_rows<T, width, with_residual ? 32 : 64>>(
      walk,
      [&](std::int64_t at) {
        ApplyItem<T> item{};
        item.x = load<width>(x + at);
        if constexpr (with_residual) item.residual = load<width>(residual + at);
        return item;
      },
      [&](std::int64_t at, const ApplyItem<T>& item) {
        float value[width];
        [[maybe_unused]] unsigned bits = 0;
#pragma unroll
        for (int i = 0; i < width; ++i) {
          value[i] = fmaf(item.x[i] - mean[i], slope[i], bias[i]);
          if constexpr (with_residual) value[i] += item.residual[i];
          const bool pass = !relu || !(value[i] <= 0);  // a NaN passes: it must reach the loss
          bits |= static_cast<unsigned>(pass) << i;
          value[i] = pass ? value[i] : 0.0f;
        }
        store(y + at, value);
        if constexpr (masked) mask[at >> 3] = static_cast<std::uint8_t>(bits);
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
    float value = fmaf(static_cast<float>(x[at]) - affine.mean[c], slope, affine.bias[c]);
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
      const Layout layout = layout_of(x, 8);
      with_flag(residual.defined(), [&]<typename Residual>(Residual) {
        with_flag(mask.defined(), [&]<typename Masked>(Masked) {
          launch(apply_kernel<T, Residual::value, Masked::value>, layout.part_grid(), threads, x.data<T>(),
                 affine, data_or_null<T>(residual), relu, bits, y.data<T>(), layout);
        });
      });
    } else {
      launch(apply_scalars_kernel<T>, blocks_for(mask_bytes(x.numel()), threads), threads, x.data<T>(), affine,
             data_or_null<T>(residual), relu, bits, y.data<T>(), width, x.numel());
    }
  });
}

__global__ void finish_kernel(const float* mean, const float* variance, Finish finish, std::int64_t channels) {
  const std::int64_t c = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (c < channels) finish.channel(c, mean[c], variance[c]);
}

void finish_statistics(const Tensor& mean, const Tensor& variance, double epsilon, double momentum,
                       std::int64_t count, Output inv_std, Output running_mean, Output running_variance) {
  launch(finish_kernel, blocks_for(mean.numel(), threads), threads, mean.data<float>(), variance.data<float>(),
         finish_of(epsilon, momentum, count, inv_std, running_mean, running_variance), mean.numel());
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

const BatchNormKernels kernels = {.statistics = statistics,
                                  .apply = apply,
                                  .reduce = batch_norm_reduce_on_gpu,
                                  .apply_backward = batch_norm_backward_on_gpu,
                                  .finish_statistics = finish_statistics,
                                  .statistics_and_finish = statistics_and_finish,
                                  .merge = merge,
                                  .merge_all = merge_all};

}  // namespace

const BatchNormKernels* const batch_norm_cuda = &kernels;

}  // namespace kindred
