// The backward passes of batch normalization in NHWC on a GPU: the sums, and the gradient of x. Which tensors there
// are is a template parameter, so all loads of a batch of rows come first, without a branch between them.
#include <kindred/engine/cuda/launch.h>
#include <kindred/layers/batch_norm/cuda_backward.h>
#include <kindred/layers/batch_norm/sums.cuh>

#include <cmath>

namespace kindred {
namespace {

using namespace cuda;

// The bits of `width` elements, the first in bit 0.
template <int width>
__device__ unsigned load_bits(const std::uint8_t* mask, std::int64_t at) {
  const unsigned byte = mask[at >> 3];
  return width == 8 ? byte : byte >> (at & 7);
}

// What reduce() reads of a row.
template <typename T, int width>
struct IncomingItem {
  Values<T, width> dy, addend, x;
  unsigned bits;
};

// dz is read only, or also written, or also the sum of two gradients.
enum class Incoming { read, kept, added };

// d_bias and d_scale, from the sums of dz and of dz * (x - mean).
template <typename T, int width, bool masked, Incoming incoming>
struct ParameterGradients {
  static constexpr int batch = batch_rows<T, width, 32>;
  const T *dy, *addend;
  const std::uint8_t* mask;
  const T* x;
  const float *mean, *inv_std;
  float *d_scale, *d_bias;
  T* dz;

  __device__ Values<float, width> center(std::int64_t c) const { return load<width>(mean + c); }
  __device__ IncomingItem<T, width> load_item(std::int64_t at) const {
    IncomingItem<T, width> item{};
    item.dy = load<width>(dy + at);
    if constexpr (incoming == Incoming::added) item.addend = load<width>(addend + at);
    item.x = load<width>(x + at);
    if constexpr (masked) item.bits = load_bits<width>(mask, at);
    return item;
  }
  __device__ void add(std::int64_t at, const IncomingItem<T, width>& item, const Values<float, width>& centers,
                      float (&sum)[width], float (&dot)[width]) const {
    float gradient[width];
#pragma unroll
    for (int i = 0; i < width; ++i) {
      gradient[i] = item.dy[i];
      // As the tape adds two gradients: a tensor of T would hold the sum.
      if constexpr (incoming == Incoming::added)
        gradient[i] = static_cast<float>(T(gradient[i] + item.addend[i]));
      if constexpr (masked) gradient[i] = (item.bits & (1u << i)) != 0 ? gradient[i] : 0.0f;
      sum[i] += gradient[i];
      dot[i] = fmaf(gradient[i], item.x[i] - centers[i], dot[i]);
    }
    if constexpr (incoming != Incoming::read) store(dz + at, gradient);
  }
  __device__ void finish(std::int64_t c, double sum, double dot_product) const {
    d_bias[c] = static_cast<float>(sum);
    d_scale[c] = static_cast<float>(dot_product * static_cast<double>(inv_std[c]));
  }
};

struct BackwardValues {
  const float *mean, *inv_std, *scale, *d_scale, *d_bias;
  float inverse_count;
};

// What apply_backward() reads and writes. `x` is not read if dx does not depend on it.
enum BackwardParts : unsigned { with_mask = 1, with_x = 2, with_dx = 4, with_residual = 8 };

template <typename T, int width>
struct BackwardItem {
  Values<T, width> dy, x;
  unsigned bits;
};

// dx = slope * dz - offset - (x - mean) * tilt, where everything that does not depend on the row is computed once.
template <typename T, int width, unsigned parts>
__global__ void __launch_bounds__(threads, resident)
    backward_kernel(const T* __restrict__ dy, const std::uint8_t* __restrict__ mask, const T* __restrict__ x,
                    BackwardValues values, T* __restrict__ dx, T* __restrict__ d_residual, Layout layout) {
  const Walk walk = walk_up<width>(layout);
  if (walk.idle) return;
  [[maybe_unused]] float mean[width], slope[width], offset[width], tilt[width];
  if constexpr ((parts & with_dx) != 0) {
    const auto inv_std = load<width>(values.inv_std + walk.channel),
               scale = load<width>(values.scale + walk.channel);
#pragma unroll
    for (int i = 0; i < width; ++i) slope[i] = scale[i] * inv_std[i];
    if constexpr ((parts & with_x) != 0) {
      const auto means = load<width>(values.mean + walk.channel),
                 d_scale = load<width>(values.d_scale + walk.channel),
                 d_bias = load<width>(values.d_bias + walk.channel);
#pragma unroll
      for (int i = 0; i < width; ++i) {
        mean[i] = means[i];
        offset[i] = slope[i] * d_bias[i] * values.inverse_count;
        tilt[i] = slope[i] * inv_std[i] * d_scale[i] * values.inverse_count;
      }
    }
  }
  for_rows<batch_rows<T, width, 32>>(
      walk,
      [&](std::int64_t at) {
        BackwardItem<T, width> item{};
        item.dy = load<width>(dy + at);
        if constexpr ((parts & with_x) != 0) item.x = load<width>(x + at);
        if constexpr ((parts & with_mask) != 0) item.bits = load_bits<width>(mask, at);
        return item;
      },
      [&](std::int64_t at, const BackwardItem<T, width>& item) {
        float value[width];
#pragma unroll
        for (int i = 0; i < width; ++i) {
          value[i] = item.dy[i];
          if constexpr ((parts & with_mask) != 0) value[i] = (item.bits & (1u << i)) != 0 ? value[i] : 0.0f;
        }
        if constexpr ((parts & with_residual) != 0) store(d_residual + at, value);
        if constexpr ((parts & with_dx) != 0) {
#pragma unroll
          for (int i = 0; i < width; ++i) {
            if constexpr ((parts & with_x) != 0)
              value[i] = fmaf(value[i], slope[i], -fmaf(item.x[i] - mean[i], tilt[i], offset[i]));
            else
              value[i] *= slope[i];
          }
          store(dx + at, value);
        }
      });
}

// Calls body(parts) with the parts as a type, for the combinations that there are.
template <typename Body>
void dispatch_parts(unsigned parts, Body&& body) {
  const auto one_of = [&]<unsigned... possible>(std::integer_sequence<unsigned, possible...>) {
    ((parts == possible ? body(std::integral_constant<unsigned, possible>{}) : void()), ...);
  };
  // Without a mask, d_residual is dy (batch_norm_backward_on_gpu).
  one_of(std::integer_sequence<unsigned, with_dx, with_dx | with_x, with_dx | with_mask,
                               with_dx | with_x | with_mask, with_dx | with_mask | with_residual,
                               with_dx | with_x | with_mask | with_residual, with_mask | with_residual>());
}

}  // namespace

void batch_norm_reduce_on_gpu(const Tensor& dy, const Tensor& addend, const Tensor& mask, const Tensor& x,
                              const BatchNormChannels& channels, Output d_scale, Output d_bias, Output dz) {
  check(!addend.defined() || dz.defined(), ExitCode::internal,
        "batch_norm: reduce was given two gradients and no tensor for their sum");
  dispatch_cuda("batch_norm", x.dtype(), [&]<typename T>(T) {
    dispatch_width(x, [&]<typename Width>(Width) {
      with_flag(mask.defined(), [&]<typename Masked>(Masked) {
        const auto sums = [&]<Incoming incoming>() {
          channel_sums<Width::value>(
              x, ParameterGradients<T, Width::value, Masked::value, incoming>{
                     dy.data<T>(), data_or_null<T>(addend), data_or_null<std::uint8_t>(mask), x.data<T>(),
                     channels.mean.data<float>(), channels.inv_std.data<float>(), d_scale.data<float>(),
                     d_bias.data<float>(), data_or_null<T>(dz)});
        };
        if (addend.defined())
          sums.template operator()<Incoming::added>();
        else if (dz.defined())
          sums.template operator()<Incoming::kept>();
        else
          sums.template operator()<Incoming::read>();
      });
    });
  });
}

void batch_norm_backward_on_gpu(const Tensor& dy, const Tensor& mask, const Tensor& x,
                                const BatchNormChannels& channels, const BatchNormSums& sums, Output dx,
                                Output d_residual) {
  const bool copies_dy = d_residual.defined() && !mask.defined();
  if (copies_dy) d_residual.copy_from(dy);
  if (!dx.defined() && (copies_dy || !d_residual.defined())) return;
  const unsigned parts = (mask.defined() ? with_mask : 0u) | (dx.defined() && sums.count > 0 ? with_x : 0u) |
                         (dx.defined() ? with_dx : 0u) |
                         (d_residual.defined() && !copies_dy ? with_residual : 0u);
  const BackwardValues values{
      channels.mean.data<float>(),  channels.inv_std.data<float>(),
      channels.scale.data<float>(), sums.d_scale.data<float>(),
      sums.d_bias.data<float>(),    sums.count > 0 ? 1.0f / static_cast<float>(sums.count) : 0.0f};
  dispatch_cuda("batch_norm", dy.dtype(), [&]<typename T>(T) {
    dispatch_width(dy, [&]<typename Width>(Width) {
      const Layout layout = layout_of(dy, Width::value);
      dispatch_parts(parts, [&]<typename Parts>(Parts) {
        launch(backward_kernel<T, Width::value, Parts::value>, layout.part_grid(), threads, dy.data<T>(),
               data_or_null<std::uint8_t>(mask), (parts & with_x) != 0 ? x.data<T>() : nullptr, values,
               data_or_null<T>(dx), data_or_null<T>(d_residual), layout);
      });
    });
  });
}

}  // namespace kindred
