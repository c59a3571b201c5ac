#include <kindred/engine/kernels/dispatch.h>
#include <kindred/layers/batch_norm/kernels.h>
#include <kindred/layers/batch_norm/merge.h>

#include <cmath>

namespace kindred {
namespace {

struct Extent {
  std::int64_t rows, channels;
};

Extent extent_of(const Tensor& x) {
  return {x.numel() / x.shape().back(), x.shape().back()};
}

bool passes(const Tensor& mask, std::int64_t element) {
  return !mask.defined() || ((mask.data<std::uint8_t>()[element / 8] >> (element % 8)) & 1);
}

template <typename T>
void statistics(const Tensor& x, Output mean, Output variance) {
  const auto [rows, channels] = extent_of(x);
  for (std::int64_t c = 0; c < channels; ++c) {
    double sum = 0, squares = 0;
    for (std::int64_t r = 0; r < rows; ++r) sum += x.data<T>()[r * channels + c];
    const double center = sum / static_cast<double>(rows);
    for (std::int64_t r = 0; r < rows; ++r) {
      const double deviation = x.data<T>()[r * channels + c] - center;
      squares += deviation * deviation;
    }
    mean.data<T>()[c] = static_cast<T>(center);
    variance.data<T>()[c] = static_cast<T>(squares / static_cast<double>(rows));
  }
}

template <typename T>
void apply(const Tensor& x, const BatchNormChannels& channels, const Tensor& residual, bool relu, Output mask,
           Output y) {
  const auto [rows, width] = extent_of(x);
  const auto& [mean, inv_std, scale, bias] = channels;
  if (mask.defined()) mask.fill(0);
  for (std::int64_t e = 0; e < rows * width; ++e) {
    const std::int64_t c = e % width;
    const T normalized = (x.data<T>()[e] - mean.data<T>()[c]) * inv_std.data<T>()[c];
    T value = normalized * scale.data<T>()[c] + bias.data<T>()[c];
    if (residual.defined()) value += residual.data<T>()[e];
    const bool pass = !relu || !(value <= 0);  // a NaN passes: it must reach the loss
    y.data<T>()[e] = pass ? value : T{0};
    if (mask.defined() && pass) mask.data<std::uint8_t>()[e / 8] |= static_cast<std::uint8_t>(1 << (e % 8));
  }
}

template <typename T>
void reduce(const Tensor& dy, const Tensor& addend, const Tensor& mask, const Tensor& x,
            const BatchNormChannels& channels, Output d_scale, Output d_bias, Output dz) {
  const auto [rows, width] = extent_of(x);
  for (std::int64_t c = 0; c < width; ++c) {
    double sum = 0, dot = 0;
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t e = r * width + c;
      const T incoming = addend.defined() ? dy.data<T>()[e] + addend.data<T>()[e] : dy.data<T>()[e];
      const bool pass = passes(mask, e);
      if (dz.defined()) dz.data<T>()[e] = pass ? incoming : T{0};
      if (!pass) continue;
      const double g = incoming;
      sum += g;
      dot += g * (x.data<T>()[e] - channels.mean.data<T>()[c]) * channels.inv_std.data<T>()[c];
    }
    d_bias.data<T>()[c] = static_cast<T>(sum);
    d_scale.data<T>()[c] = static_cast<T>(dot);
  }
}

template <typename T>
void apply_backward(const Tensor& dy, const Tensor& mask, const Tensor& x, const BatchNormChannels& channels,
                    const BatchNormSums& sums, Output dx, Output d_residual) {
  const auto [rows, width] = extent_of(x);
  const auto& [d_scale, d_bias, count] = sums;
  for (std::int64_t e = 0; e < rows * width; ++e) {
    const std::int64_t c = e % width;
    const T dz = passes(mask, e) ? dy.data<T>()[e] : T{0};
    if (d_residual.defined()) d_residual.data<T>()[e] = dz;
    if (!dx.defined()) continue;
    T centered = dz;
    if (count > 0) {
      const T normalized = (x.data<T>()[e] - channels.mean.data<T>()[c]) * channels.inv_std.data<T>()[c];
      centered -= (d_bias.data<T>()[c] + normalized * d_scale.data<T>()[c]) / static_cast<T>(count);
    }
    dx.data<T>()[e] = channels.scale.data<T>()[c] * channels.inv_std.data<T>()[c] * centered;
  }
}

template <typename T>
void finish_statistics(const Tensor& mean, const Tensor& variance, double epsilon, double momentum,
                       std::int64_t count, Output inv_std, Output running_mean, Output running_variance) {
  for (std::int64_t c = 0; c < mean.numel(); ++c) {
    const double v = variance.data<T>()[c];
    inv_std.data<T>()[c] = static_cast<T>(1.0 / std::sqrt(v + epsilon));
    if (!running_mean.defined()) continue;
    const double unbiased = v * static_cast<double>(count) / static_cast<double>(count - 1);
    T& m = running_mean.data<T>()[c];
    T& u = running_variance.data<T>()[c];
    m = static_cast<T>((1 - momentum) * m + momentum * mean.data<T>()[c]);
    u = static_cast<T>((1 - momentum) * u + momentum * unbiased);
  }
}

template <typename T>
void merge(const Tensor& other_mean, const Tensor& other_variance, double share, Output mean, Output variance) {
  for (std::int64_t c = 0; c < mean.numel(); ++c) {
    T& m = mean.data<T>()[c];
    T& v = variance.data<T>()[c];
    const MeanAndVariance both = merged({m, v}, {other_mean.data<T>()[c], other_variance.data<T>()[c]}, share);
    m = static_cast<T>(both.mean);
    v = static_cast<T>(both.variance);
  }
}

template <typename T>
void merge_all(const Tensor& parts, Output mean, Output variance) {
  for (std::int64_t c = 0; c < mean.numel(); ++c) {
    const MeanAndVariance all = merged_in_order(parts.data<T>(), parts.dim(0), mean.numel(), c);
    mean.data<T>()[c] = static_cast<T>(all.mean);
    variance.data<T>()[c] = static_cast<T>(all.variance);
  }
}

}  // namespace

const BatchNormKernels batch_norm_reference = {
    [](const Tensor& x, Output mean, Output variance) {
      dispatch_reference("batch_norm", x.dtype(), [&]<typename T>(T) { statistics<T>(x, mean, variance); });
    },
    [](const Tensor& x, const BatchNormChannels& channels, const Tensor& residual, bool relu, Output mask,
       Output y) {
      dispatch_reference("batch_norm", x.dtype(),
                         [&]<typename T>(T) { apply<T>(x, channels, residual, relu, mask, y); });
    },
    [](const Tensor& dy, const Tensor& addend, const Tensor& mask, const Tensor& x,
       const BatchNormChannels& channels, Output d_scale, Output d_bias, Output dz) {
      dispatch_reference("batch_norm", x.dtype(),
                         [&]<typename T>(T) { reduce<T>(dy, addend, mask, x, channels, d_scale, d_bias, dz); });
    },
    [](const Tensor& dy, const Tensor& mask, const Tensor& x, const BatchNormChannels& channels,
       const BatchNormSums& sums, Output dx, Output d_residual) {
      dispatch_reference("batch_norm", x.dtype(), [&]<typename T>(T) {
        apply_backward<T>(dy, mask, x, channels, sums, dx, d_residual);
      });
    },
    [](const Tensor& mean, const Tensor& variance, double epsilon, double momentum, std::int64_t count,
       Output inv_std, Output running_mean, Output running_variance) {
      dispatch_reference("batch_norm", mean.dtype(), [&]<typename T>(T) {
        finish_statistics<T>(mean, variance, epsilon, momentum, count, inv_std, running_mean, running_variance);
      });
    },
    [](const Tensor& x, double epsilon, double momentum, std::int64_t count, Output mean, Output variance,
       Output inv_std, Output running_mean, Output running_variance) {
      dispatch_reference("batch_norm", x.dtype(), [&]<typename T>(T) {
        statistics<T>(x, mean, variance);
        finish_statistics<T>(mean, variance, epsilon, momentum, count, inv_std, running_mean, running_variance);
      });
    },
    [](const Tensor& other_mean, const Tensor& other_variance, double share, Output mean, Output variance) {
      dispatch_reference("batch_norm", mean.dtype(),
                         [&]<typename T>(T) { merge<T>(other_mean, other_variance, share, mean, variance); });
    },
    [](const Tensor& parts, Output mean, Output variance) {
      dispatch_reference("batch_norm", parts.dtype(),
                         [&]<typename T>(T) { merge_all<T>(parts, mean, variance); });
    },
};

}  // namespace kindred
