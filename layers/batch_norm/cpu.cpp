// Batch normalization in NHWC on all cores. Every pass is memory-bound: it reads and writes its tensors once
// and computes in float.
//
// Rows are processed in tiles that fit the L1 cache. Inside a tile the outer loop runs over groups of eight
// channels and the inner one over rows, so that the values of the channels stay in registers. Work is divided
// at multiples of eight rows, so that each range owns whole bytes of the bit mask.
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/kernels/dispatch.h>
#include <kindred/layers/batch_norm/kernels.h>

#include <algorithm>
#include <cmath>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <kindred/layers/batch_norm/cpu.cpp>
#include <hwy/foreach_target.h>  // compiles this file for the other kinds of vectors
#include <kindred/engine/cpu/eight_floats.h>

HWY_BEFORE_NAMESPACE();
namespace kindred::HWY_NAMESPACE {
namespace {

constexpr std::int64_t group = 8;  // rows: group * channels is a multiple of 8 bits for any number of channels
constexpr std::int64_t tile_elements = 4096;  // 16 KiB of a float tensor
constexpr std::int64_t grain_elements = 16384;

struct Extent {
  std::int64_t rows, channels;
};

Extent extent_of(const Tensor& x) {
  return {x.numel() / x.shape().back(), x.shape().back()};
}

// Calls body(range, first_row, last_row).
template <typename Body>
void for_row_ranges(Extent e, Body&& body) {
  const std::int64_t groups = (e.rows + group - 1) / group;
  parallel_ranges(groups, grain_elements / (group * e.channels) + 1,
                  [&](int range, std::int64_t begin, std::int64_t end) {
                    body(range, begin * group, std::min(end * group, e.rows));
                  });
}

// Whole vectors of eight channels use the fast path. If there is a remainder, all elements are processed one at
// a time.
bool whole_vectors(std::int64_t channels) {
  return channels % 8 == 0;
}

bool bit(const std::uint8_t* mask, std::int64_t element) {
  return mask == nullptr || ((mask[element / 8] >> (element % 8)) & 1);
}

// Calls body(first_row, last_row, channel) for every tile of [begin, end) and every eighth channel.
template <typename Body>
void for_tiles(std::int64_t begin, std::int64_t end, std::int64_t channels, Body&& body) {
  const std::int64_t rows = std::max(group, tile_elements / channels);
  for (std::int64_t r = begin; r < end; r += rows)
    for (std::int64_t c = 0; c < channels; c += 8) body(r, std::min(r + rows, end), c);
}

// Two sums for each channel over all rows. pair(element, channel, first, second) adds the part of one element
// or one vector. The sums are float inside a tile and double across tiles. The threads' sums are added in a
// fixed order, so the result is the same in every run with the same number of threads. before(begin, end) is called for
// elements that are about to be added.
struct ChannelSums {
  std::vector<double> first, second;

  template <typename Before, typename VectorPair, typename ScalarPair>
  ChannelSums(Extent e, Before before, VectorPair vector_pair, ScalarPair scalar_pair)
      : first(static_cast<std::size_t>(e.channels)), second(first.size()) {
    const auto width = static_cast<std::size_t>(e.channels);
    std::vector<double> partial(2 * width * static_cast<std::size_t>(compute_threads()));
    for_row_ranges(e, [&](int range, std::int64_t begin, std::int64_t end) {
      double* mine = &partial[2 * width * static_cast<std::size_t>(range)];
      if (whole_vectors(e.channels))
        add_vectors(begin, end, e.channels, mine, before, vector_pair);
      else
        add_scalars(begin, end, e.channels, mine, before, scalar_pair);
    });
    for (std::size_t at = 0; at < partial.size(); at += 2 * width)
      for (std::size_t c = 0; c < width; ++c) {
        first[c] += partial[at + c];
        second[c] += partial[at + width + c];
      }
  }

 private:
  template <typename Before, typename VectorPair>
  static void add_vectors(std::int64_t begin, std::int64_t end, std::int64_t channels, double* sums,
                          Before before, VectorPair pair) {
    for_tiles(begin, end, channels, [&](std::int64_t r0, std::int64_t r1, std::int64_t c) HWY_ATTR {
      if (c == 0) before(r0 * channels, r1 * channels);
      Vec8 a[2] = {broadcast8(0), broadcast8(0)},
           b[2] = {broadcast8(0), broadcast8(0)};  // two chains, so that additions overlap
      std::int64_t r = r0;
      for (; r + 1 < r1; r += 2) {
        pair(r * channels + c, c, a[0], b[0]);
        pair((r + 1) * channels + c, c, a[1], b[1]);
      }
      if (r < r1) pair(r * channels + c, c, a[0], b[0]);
      float sum[8], other[8];
      store8(sum, a[0] + a[1]);
      store8(other, b[0] + b[1]);
      for (std::int64_t i = 0; i < 8; ++i) {
        sums[c + i] += static_cast<double>(sum[i]);
        sums[channels + c + i] += static_cast<double>(other[i]);
      }
    });
  }

  template <typename Before, typename ScalarPair>
  static void add_scalars(std::int64_t begin, std::int64_t end, std::int64_t channels, double* sums,
                          Before before, ScalarPair pair) {
    before(begin * channels, end * channels);
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t r = begin; r < end; ++r) {
        float a = 0, b = 0;
        pair(r * channels + c, c, a, b);
        sums[c] += static_cast<double>(a);
        sums[channels + c] += static_cast<double>(b);
      }
  }
};

template <typename T>
void statistics(const Tensor& x, Output mean, Output variance) {
  const Extent e = extent_of(x);
  const T* px = x.data<T>();
  // Sums are taken of x - pivot, where the pivot is the first row. Sums of squares of x itself would lose the
  // variance of a channel whose mean is much larger than its deviation.
  std::vector<float> pivot(static_cast<std::size_t>(e.channels));
  for (std::size_t c = 0; c < pivot.size(); ++c) pivot[c] = static_cast<float>(px[c]);
  const float* pp = pivot.data();
  const ChannelSums sums(
      e, [](std::int64_t, std::int64_t) {},
      [=](std::int64_t at, std::int64_t c, Vec8& sum, Vec8& squares) HWY_ATTR {
        const Vec8 shifted = load8(px + at) - load8(pp + c);
        sum = sum + shifted;
        squares = multiply_add(shifted, shifted, squares);
      },
      [=](std::int64_t at, std::int64_t c, float& sum, float& squares) {
        const float shifted = static_cast<float>(px[at]) - pp[c];
        sum += shifted;
        squares += shifted * shifted;
      });
  const auto rows = static_cast<double>(e.rows);
  for (std::size_t c = 0; c < pivot.size(); ++c) {
    const double shift = sums.first[c] / rows;
    mean.data<float>()[c] = static_cast<float>(pivot[c] + shift);
    // A NaN must survive the clamp, so that it is noticed.
    const double v = sums.second[c] / rows - shift * shift;
    variance.data<float>()[c] = static_cast<float>(v < 0 ? 0.0 : v);
  }
}

// The values that the inner loop of `apply` needs. They are copied, so that nothing in them can alias the
// output of the loop.
template <typename T>
struct ApplyArguments {
  const T *x, *residual;
  const float *mean, *slope, *bias;  // y = (x - mean) * slope + bias
  std::uint8_t* mask;
  T* y;
  std::int64_t channels;
};

template <typename T, bool with_residual, bool with_relu, bool with_mask>
void apply_tile(const ApplyArguments<T> a, std::int64_t first_row, std::int64_t last_row, std::int64_t c) {
  const Vec8 mean = load8(a.mean + c), slope = load8(a.slope + c), bias = load8(a.bias + c);
  for (std::int64_t at = first_row * a.channels + c; at < last_row * a.channels; at += a.channels) {
    Vec8 value = multiply_add(load8(a.x + at) - mean, slope, bias);
    if constexpr (with_residual) value = value + load8(a.residual + at);
    if constexpr (with_relu) {
      if constexpr (with_mask) a.mask[at / 8] = positive_bits(value);
      value = relu(value);
    }
    store8(a.y + at, value);
  }
}

template <typename T>
using ApplyTile = void (*)(ApplyArguments<T>, std::int64_t, std::int64_t, std::int64_t);

template <typename T>
ApplyTile<T> choose_apply_tile(bool residual, bool relu, bool mask) {
  if (residual) {
    if (!relu) return apply_tile<T, true, false, false>;
    return mask ? apply_tile<T, true, true, true> : apply_tile<T, true, true, false>;
  }
  if (!relu) return apply_tile<T, false, false, false>;
  return mask ? apply_tile<T, false, true, true> : apply_tile<T, false, true, false>;
}

template <typename T>
void apply_scalars(const ApplyArguments<T>& a, bool with_relu, std::int64_t begin, std::int64_t end) {
  if (a.mask)
    std::fill(a.mask + begin * a.channels / 8, a.mask + mask_bytes(end * a.channels), std::uint8_t{0});
  for (std::int64_t at = begin * a.channels; at < end * a.channels; ++at) {
    const std::int64_t c = at % a.channels;
    float value = (static_cast<float>(a.x[at]) - a.mean[c]) * a.slope[c] + a.bias[c];
    if (a.residual) value += static_cast<float>(a.residual[at]);
    const bool pass = !with_relu || !(value <= 0);
    if (a.mask && pass) a.mask[at / 8] = static_cast<std::uint8_t>(a.mask[at / 8] | (1 << (at % 8)));
    a.y[at] = T(pass ? value : 0.0f);
  }
}

template <typename T>
void apply(const Tensor& x, const BatchNormChannels& channels, const Tensor& residual, bool with_relu,
           Output mask, Output y) {
  const Extent e = extent_of(x);
  std::vector<float> slope(static_cast<std::size_t>(e.channels));
  for (std::size_t c = 0; c < slope.size(); ++c)
    slope[c] = channels.scale.data<float>()[c] * channels.inv_std.data<float>()[c];
  const ApplyArguments<T> arguments{x.data<T>(),
                                    residual.defined() ? residual.data<T>() : nullptr,
                                    channels.mean.data<float>(),
                                    slope.data(),
                                    channels.bias.data<float>(),
                                    mask.defined() ? mask.data<std::uint8_t>() : nullptr,
                                    y.data<T>(),
                                    e.channels};
  const ApplyTile<T> tile = choose_apply_tile<T>(residual.defined(), with_relu, mask.defined());
  for_row_ranges(e, [&](int, std::int64_t begin, std::int64_t end) {
    if (!whole_vectors(e.channels)) return apply_scalars(arguments, with_relu, begin, end);
    for_tiles(begin, end, e.channels,
              [&](std::int64_t r0, std::int64_t r1, std::int64_t c) { tile(arguments, r0, r1, c); });
  });
}

// What makes dz of the incoming gradients.
template <typename T>
struct MaskArguments {
  const T *dy, *addend;
  const std::uint8_t* mask;
  T* dz;
};

// Writes the elements from `begin` to `end`, of which `begin` is a multiple of 8.
template <typename T, bool with_addend, bool with_mask>
void write_dz(const MaskArguments<T> a, std::int64_t begin, std::int64_t end) {
  std::int64_t at = begin;
  for (; at + 8 <= end; at += 8) {
    Vec8 dz = load8(a.dy + at);
    if constexpr (with_addend) dz = dz + load8(a.addend + at);
    if constexpr (with_mask) dz = keep_bits(a.mask[at / 8], dz);
    store8(a.dz + at, dz);
  }
  for (; at < end; ++at) {
    float dz = static_cast<float>(a.dy[at]);
    if constexpr (with_addend) dz += static_cast<float>(a.addend[at]);
    a.dz[at] = T(bit(a.mask, at) ? dz : 0.0f);
  }
}

template <typename T>
auto choose_write_dz(bool addend, bool mask) {
  if (addend) return mask ? write_dz<T, true, true> : write_dz<T, true, false>;
  return mask ? write_dz<T, false, true> : write_dz<T, false, false>;
}

template <typename T>
void reduce(const Tensor& dy, const Tensor& addend, const Tensor& mask, const Tensor& x,
            const BatchNormChannels& channels, Output d_scale, Output d_bias, Output dz) {
  const Extent e = extent_of(x);
  const T* px = x.data<T>();
  const float* pmean = channels.mean.data<float>();
  const std::uint8_t* pm = mask.defined() ? mask.data<std::uint8_t>() : nullptr;
  const MaskArguments<T> incoming{dy.data<T>(), addend.defined() ? addend.data<T>() : nullptr, pm,
                                  dz.defined() ? dz.data<T>() : nullptr};
  const auto write = choose_write_dz<T>(addend.defined(), mask.defined());
  // The sums read what has just been written. A masked gradient needs no mask, except in front of an infinite x.
  const T* pd = dz.defined() ? incoming.dz : incoming.dy;
  const std::uint8_t* vector_mask = dz.defined() ? nullptr : pm;
  const ChannelSums sums(
      e,
      [=](std::int64_t begin, std::int64_t end) HWY_ATTR {
        if (incoming.dz) write(incoming, begin, end);
      },
      [=](std::int64_t at, std::int64_t c, Vec8& sum, Vec8& dot) HWY_ATTR {
        Vec8 gradient = load8(pd + at);
        if (vector_mask) gradient = keep_bits(vector_mask[at / 8], gradient);
        sum = sum + gradient;
        dot = multiply_add(gradient, load8(px + at) - load8(pmean + c), dot);
      },
      [=](std::int64_t at, std::int64_t c, float& sum, float& dot) {
        if (!bit(pm, at)) return;
        const float gradient = static_cast<float>(pd[at]);
        sum += gradient;
        dot += gradient * (static_cast<float>(px[at]) - pmean[c]);
      });
  for (std::size_t c = 0; c < sums.first.size(); ++c) {
    d_bias.data<float>()[c] = static_cast<float>(sums.first[c]);
    d_scale.data<float>()[c] = static_cast<float>(sums.second[c] * channels.inv_std.data<float>()[c]);
  }
}

// dx = slope * dz - offset - (x - mean) * tilt, where everything that does not depend on the row is computed
// once.
template <typename T>
struct BackwardArguments {
  const T *dy, *x;
  const std::uint8_t* mask;
  const float *mean, *slope, *offset, *tilt;
  T *dx, *d_residual;
  std::int64_t channels;
};

template <typename T, bool with_mask, bool with_residual>
void backward_tile(const BackwardArguments<T> a, std::int64_t first_row, std::int64_t last_row,
                   std::int64_t c) {
  const Vec8 mean = load8(a.mean + c), slope = load8(a.slope + c), offset = load8(a.offset + c),
             tilt = load8(a.tilt + c);
  for (std::int64_t at = first_row * a.channels + c; at < last_row * a.channels; at += a.channels) {
    Vec8 dz = load8(a.dy + at);
    if constexpr (with_mask) dz = keep_bits(a.mask[at / 8], dz);
    if constexpr (with_residual) store8(a.d_residual + at, dz);
    store8(a.dx + at, dz * slope - multiply_add(load8(a.x + at) - mean, tilt, offset));
  }
}

template <typename T>
void backward_scalars(const BackwardArguments<T>& a, std::int64_t begin, std::int64_t end) {
  for (std::int64_t at = begin * a.channels; at < end * a.channels; ++at) {
    const std::int64_t c = at % a.channels;
    const float dz = bit(a.mask, at) ? static_cast<float>(a.dy[at]) : 0.0f;
    if (a.d_residual) a.d_residual[at] = T(dz);
    if (a.dx)
      a.dx[at] = T(dz * a.slope[c] - a.offset[c] - (static_cast<float>(a.x[at]) - a.mean[c]) * a.tilt[c]);
  }
}

template <typename T>
void apply_backward(const Tensor& dy, const Tensor& mask, const Tensor& x, const BatchNormChannels& channels,
                    const BatchNormSums& sums, Output dx, Output d_residual) {
  const Extent e = extent_of(x);
  const auto& [d_scale, d_bias, count] = sums;
  std::vector<float> slope(static_cast<std::size_t>(e.channels)), offset(slope.size()), tilt(slope.size());
  for (std::size_t c = 0; c < slope.size(); ++c) {
    const float s = channels.inv_std.data<float>()[c];
    slope[c] = channels.scale.data<float>()[c] * s;
    if (count == 0) continue;
    offset[c] = slope[c] * d_bias.data<float>()[c] / static_cast<float>(count);
    tilt[c] = slope[c] * s * d_scale.data<float>()[c] / static_cast<float>(count);
  }
  const BackwardArguments<T> arguments{dy.data<T>(),
                                       x.data<T>(),
                                       mask.defined() ? mask.data<std::uint8_t>() : nullptr,
                                       channels.mean.data<float>(),
                                       slope.data(),
                                       offset.data(),
                                       tilt.data(),
                                       dx.defined() ? dx.data<T>() : nullptr,
                                       d_residual.defined() ? d_residual.data<T>() : nullptr,
                                       e.channels};
  const auto tile =
      mask.defined() ? (d_residual.defined() ? backward_tile<T, true, true> : backward_tile<T, true, false>)
                     : (d_residual.defined() ? backward_tile<T, false, true> : backward_tile<T, false, false>);
  for_row_ranges(e, [&](int, std::int64_t begin, std::int64_t end) {
    if (!whole_vectors(e.channels) || !arguments.dx) return backward_scalars(arguments, begin, end);
    for_tiles(begin, end, e.channels,
              [&](std::int64_t r0, std::int64_t r1, std::int64_t c) { tile(arguments, r0, r1, c); });
  });
}

void statistics_of(const Tensor& x, Output mean, Output variance) {
  dispatch_cpu("batch_norm", x.dtype(), [&]<typename T>(T) { statistics<T>(x, mean, variance); });
}

void apply_to(const Tensor& x, const BatchNormChannels& channels, const Tensor& residual, bool relu,
              Output mask, Output y) {
  dispatch_cpu("batch_norm", x.dtype(), [&]<typename T>(T) { apply<T>(x, channels, residual, relu, mask, y); });
}

void reduce_of(const Tensor& dy, const Tensor& addend, const Tensor& mask, const Tensor& x,
               const BatchNormChannels& channels, Output d_scale, Output d_bias, Output dz) {
  dispatch_cpu("batch_norm", x.dtype(),
               [&]<typename T>(T) { reduce<T>(dy, addend, mask, x, channels, d_scale, d_bias, dz); });
}

void apply_backward_to(const Tensor& dy, const Tensor& mask, const Tensor& x, const BatchNormChannels& channels,
                       const BatchNormSums& sums, Output dx, Output d_residual) {
  dispatch_cpu("batch_norm", x.dtype(),
               [&]<typename T>(T) { apply_backward<T>(dy, mask, x, channels, sums, dx, d_residual); });
}

}  // namespace
}  // namespace kindred::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kindred {
namespace {

HWY_EXPORT(statistics_of);
HWY_EXPORT(apply_to);
HWY_EXPORT(reduce_of);
HWY_EXPORT(apply_backward_to);

void finish_statistics(const Tensor& mean, const Tensor& variance, double epsilon, double momentum,
                       std::int64_t count, Output inv_std, Output running_mean, Output running_variance) {
  batch_norm_reference.finish_statistics(mean, variance, epsilon, momentum, count, inv_std, running_mean,
                                         running_variance);
}

void statistics_and_finish(const Tensor& x, double epsilon, double momentum, std::int64_t count, Output mean,
                           Output variance, Output inv_std, Output running_mean, Output running_variance) {
  KINDRED_FOR_TARGET(statistics_of)(x, mean, variance);
  finish_statistics(mean, variance, epsilon, momentum, count, inv_std, running_mean, running_variance);
}

void merge(const Tensor& other_mean, const Tensor& other_variance, double share, Output mean, Output variance) {
  batch_norm_reference.merge(other_mean, other_variance, share, mean, variance);
}

void merge_all(const Tensor& parts, Output mean, Output variance) {
  batch_norm_reference.merge_all(parts, mean, variance);
}

}  // namespace

const BatchNormKernels batch_norm_cpu = {
    [](const Tensor& x, Output mean, Output variance) {
      return KINDRED_FOR_TARGET(statistics_of)(x, mean, variance);
    },
    [](const Tensor& x, const BatchNormChannels& channels, const Tensor& residual, bool relu, Output mask,
       Output y) { return KINDRED_FOR_TARGET(apply_to)(x, channels, residual, relu, mask, y); },
    [](const Tensor& dy, const Tensor& addend, const Tensor& mask, const Tensor& x,
       const BatchNormChannels& channels, Output d_scale, Output d_bias,
       Output dz) { return KINDRED_FOR_TARGET(reduce_of)(dy, addend, mask, x, channels, d_scale, d_bias, dz); },
    [](const Tensor& dy, const Tensor& mask, const Tensor& x, const BatchNormChannels& channels,
       const BatchNormSums& sums, Output dx, Output d_residual) {
      return KINDRED_FOR_TARGET(apply_backward_to)(dy, mask, x, channels, sums, dx, d_residual);
    },
    finish_statistics,
    statistics_and_finish,
    merge,
    merge_all,
};

}  // namespace kindred
#endif
