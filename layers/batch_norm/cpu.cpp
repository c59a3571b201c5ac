// Batch normalization in NHWC on all cores. Every pass is bound by memory: each reads and writes its tensors once,
// eight channels at a time, and computes in float.
//
// Work is cut at multiples of eight rows, so that each range owns whole bytes of the bit mask.
#include <kindred/engine/dispatch.h>
#include <kindred/engine/parallel.h>
#include <kindred/engine/vec8.h>
#include <kindred/layers/batch_norm/kernels.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace kindred {
namespace {

constexpr std::int64_t group = 8;           // rows: group * channels is a multiple of 8 bits, whatever the channels
constexpr std::int64_t block = 128;         // rows that are summed in float before they are added up in double
constexpr std::int64_t grain_elements = 16384;

struct Extent {
  std::int64_t rows, channels;
};

Extent extent_of(const Tensor& x) { return {x.numel() / x.shape().back(), x.shape().back()}; }

// body(range, first_row, last_row)
template <typename Body>
void for_row_ranges(Extent e, Body&& body) {
  const std::int64_t groups = (e.rows + group - 1) / group;
  parallel_ranges(groups, grain_elements / (group * e.channels) + 1,
                  [&](int range, std::int64_t begin, std::int64_t end) {
                    body(range, begin * group, std::min(end * group, e.rows));
                  });
}

// Whole vectors of eight channels take the fast path; a tail of fewer is handled one element at a time.
std::int64_t whole_vectors(std::int64_t channels) { return channels % 8 == 0 ? channels : 0; }

bool bit(const std::uint8_t* mask, std::int64_t element) {
  return mask == nullptr || ((mask[element / 8] >> (element % 8)) & 1);
}

// Two sums for each channel over [begin, end) rows: pairs(element) gives what is added. Float inside a block of
// rows, double across blocks.
template <typename VectorPair, typename ScalarPair>
void sum_rows(std::int64_t begin, std::int64_t end, std::int64_t channels, double* first, double* second,
              VectorPair&& vector_pair, ScalarPair&& scalar_pair) {
  std::vector<float> a(static_cast<std::size_t>(channels)), b(a.size());
  for (std::int64_t r0 = begin; r0 < end; r0 += block) {
    const std::int64_t r1 = std::min(r0 + block, end);
    std::fill(a.begin(), a.end(), 0.0f);
    std::fill(b.begin(), b.end(), 0.0f);
    for (std::int64_t r = r0; r < r1; r += 4) {  // four rows at a time: the sums stay in registers between them
      const std::int64_t rows = std::min<std::int64_t>(4, r1 - r);
      for (std::int64_t c = 0; c < whole_vectors(channels); c += 8) {
        Vec8 sum_a = load8(&a[static_cast<std::size_t>(c)]), sum_b = load8(&b[static_cast<std::size_t>(c)]);
        for (std::int64_t i = 0; i < rows; ++i) vector_pair((r + i) * channels + c, c, sum_a, sum_b);
        store8(&a[static_cast<std::size_t>(c)], sum_a);
        store8(&b[static_cast<std::size_t>(c)], sum_b);
      }
      for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t c = whole_vectors(channels); c < channels; ++c)
          scalar_pair((r + i) * channels + c, c, a[static_cast<std::size_t>(c)], b[static_cast<std::size_t>(c)]);
    }
    for (std::int64_t c = 0; c < channels; ++c) {
      first[c] += a[static_cast<std::size_t>(c)];
      second[c] += b[static_cast<std::size_t>(c)];
    }
  }
}

// Runs sum_rows on all cores and adds the ranges in their order: the same result in every run.
struct ChannelSums {
  std::vector<double> first, second;

  template <typename VectorPair, typename ScalarPair>
  ChannelSums(Extent e, VectorPair&& vector_pair, ScalarPair&& scalar_pair)
      : first(static_cast<std::size_t>(e.channels)), second(first.size()) {
    const auto width = static_cast<std::size_t>(e.channels);
    std::vector<double> partial(2 * width * static_cast<std::size_t>(compute_threads()));
    for_row_ranges(e, [&](int range, std::int64_t begin, std::int64_t end) {
      double* mine = &partial[2 * width * static_cast<std::size_t>(range)];
      sum_rows(begin, end, e.channels, mine, mine + width, vector_pair, scalar_pair);
    });
    for (std::size_t at = 0; at < partial.size(); at += 2 * width)
      for (std::size_t c = 0; c < width; ++c) {
        first[c] += partial[at + c];
        second[c] += partial[at + width + c];
      }
  }
};

template <typename T>
void statistics(const Tensor& x, const Tensor& mean, const Tensor& variance) {
  const Extent e = extent_of(x);
  const T* px = x.data<T>();
  // Sums are taken of x - pivot, with the first row as pivot: sums of squares of x itself would lose the variance
  // of a channel whose mean is large beside it.
  std::vector<float> pivot(static_cast<std::size_t>(e.channels));
  for (std::size_t c = 0; c < pivot.size(); ++c) pivot[c] = static_cast<float>(px[c]);
  const float* pp = pivot.data();
  const ChannelSums sums(
      e,
      [=](std::int64_t at, std::int64_t c, Vec8& sum, Vec8& squares) {
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

struct Affine {  // y = (x - mean) * slope + bias
  std::vector<float> slope;
  const float *mean, *bias;
};

template <typename T>
void apply(const Tensor& x, const Tensor& mean, const Tensor& inv_std, const Tensor& scale, const Tensor& bias,
           const Tensor& residual, bool with_relu, const Tensor& mask, const Tensor& y) {
  const Extent e = extent_of(x);
  Affine f{std::vector<float>(static_cast<std::size_t>(e.channels)), mean.data<float>(), bias.data<float>()};
  for (std::int64_t c = 0; c < e.channels; ++c)
    f.slope[static_cast<std::size_t>(c)] = scale.data<float>()[c] * inv_std.data<float>()[c];
  const T* px = x.data<T>();
  const T* pr = residual.defined() ? residual.data<T>() : nullptr;
  std::uint8_t* pm = mask.defined() ? mask.data<std::uint8_t>() : nullptr;
  T* py = y.data<T>();
  const float* slope = f.slope.data();

  for_row_ranges(e, [&](int, std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r)
      for (std::int64_t c = 0; c < whole_vectors(e.channels); c += 8) {
        const std::int64_t at = r * e.channels + c;
        Vec8 value = multiply_add(load8(px + at) - load8(f.mean + c), load8(slope + c), load8(f.bias + c));
        if (pr) value = value + load8(pr + at);
        if (with_relu) {
          const std::uint8_t bits = positive_bits(value);
          value = keep_bits(bits, value);
          if (pm) pm[at / 8] = bits;
        }
        store8(py + at, value);
      }
    if (whole_vectors(e.channels) == e.channels) return;
    if (pm) std::fill(pm + begin * e.channels / 8, pm + mask_bytes(end * e.channels), std::uint8_t{0});
    for (std::int64_t at = begin * e.channels; at < end * e.channels; ++at) {
      const std::int64_t c = at % e.channels;
      float value = (static_cast<float>(px[at]) - f.mean[c]) * slope[c] + f.bias[c];
      if (pr) value += static_cast<float>(pr[at]);
      const bool pass = !with_relu || !(value <= 0);
      if (pm && pass) pm[at / 8] = static_cast<std::uint8_t>(pm[at / 8] | (1 << (at % 8)));
      py[at] = T(pass ? value : 0.0f);
    }
  });
}

template <typename T>
void reduce(const Tensor& dy, const Tensor& mask, const Tensor& x, const Tensor& mean, const Tensor& inv_std,
            const Tensor& d_scale, const Tensor& d_bias) {
  const Extent e = extent_of(x);
  const T* pd = dy.data<T>();
  const T* px = x.data<T>();
  const float* pmean = mean.data<float>();
  const std::uint8_t* pm = mask.defined() ? mask.data<std::uint8_t>() : nullptr;
  const ChannelSums sums(
      e,
      [=](std::int64_t at, std::int64_t c, Vec8& sum, Vec8& dot) {
        Vec8 dz = load8(pd + at);
        if (pm) dz = keep_bits(pm[at / 8], dz);
        sum = sum + dz;
        dot = multiply_add(dz, load8(px + at) - load8(pmean + c), dot);
      },
      [=](std::int64_t at, std::int64_t c, float& sum, float& dot) {
        if (!bit(pm, at)) return;
        const float dz = static_cast<float>(pd[at]);
        sum += dz;
        dot += dz * (static_cast<float>(px[at]) - pmean[c]);
      });
  for (std::size_t c = 0; c < sums.first.size(); ++c) {
    d_bias.data<float>()[c] = static_cast<float>(sums.first[c]);
    d_scale.data<float>()[c] = static_cast<float>(sums.second[c] * inv_std.data<float>()[c]);
  }
}

template <typename T>
void apply_backward(const Tensor& dy, const Tensor& mask, const Tensor& x, const Tensor& mean, const Tensor& inv_std,
                    const Tensor& scale, const Tensor& d_scale, const Tensor& d_bias, std::int64_t count,
                    const Tensor& dx, const Tensor& d_residual) {
  const Extent e = extent_of(x);
  // dx = slope * dz - offset - (x - mean) * tilt, with everything that does not depend on the row worked out once.
  std::vector<float> slope(static_cast<std::size_t>(e.channels)), offset(slope.size()), tilt(slope.size());
  for (std::size_t c = 0; c < slope.size(); ++c) {
    const float s = inv_std.data<float>()[c];
    slope[c] = scale.data<float>()[c] * s;
    if (count == 0) continue;
    offset[c] = slope[c] * d_bias.data<float>()[c] / static_cast<float>(count);
    tilt[c] = slope[c] * s * d_scale.data<float>()[c] / static_cast<float>(count);
  }
  const T* pd = dy.data<T>();
  const T* px = x.data<T>();
  const float *pmean = mean.data<float>(), *ps = slope.data(), *po = offset.data(), *pt = tilt.data();
  const std::uint8_t* pm = mask.defined() ? mask.data<std::uint8_t>() : nullptr;
  T* pdx = dx.defined() ? dx.data<T>() : nullptr;
  T* pdr = d_residual.defined() ? d_residual.data<T>() : nullptr;
  const Vec8 zero = broadcast8(0);

  for_row_ranges(e, [&](int, std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r)
      for (std::int64_t c = 0; c < whole_vectors(e.channels); c += 8) {
        const std::int64_t at = r * e.channels + c;
        Vec8 dz = load8(pd + at);
        if (pm) dz = keep_bits(pm[at / 8], dz);
        if (pdr) store8(pdr + at, dz);
        if (!pdx) continue;
        const Vec8 centered = load8(px + at) - load8(pmean + c);
        const Vec8 value = multiply_add(dz, load8(ps + c), zero - load8(po + c));
        store8(pdx + at, multiply_add(zero - centered, load8(pt + c), value));
      }
    if (whole_vectors(e.channels) == e.channels) return;
    for (std::int64_t at = begin * e.channels; at < end * e.channels; ++at) {
      const std::int64_t c = at % e.channels;
      const float dz = bit(pm, at) ? static_cast<float>(pd[at]) : 0.0f;
      if (pdr) pdr[at] = T(dz);
      if (pdx) pdx[at] = T(dz * ps[c] - po[c] - (static_cast<float>(px[at]) - pmean[c]) * pt[c]);
    }
  });
}

void finish_statistics(const Tensor& mean, const Tensor& variance, double epsilon, double momentum,
                       std::int64_t count, const Tensor& inv_std, const Tensor& running_mean,
                       const Tensor& running_variance) {
  batch_norm_reference.finish_statistics(mean, variance, epsilon, momentum, count, inv_std, running_mean,
                                         running_variance);
}

}  // namespace

const BatchNormKernels batch_norm_cpu = {
    [](const Tensor& x, const Tensor& mean, const Tensor& variance) {
      dispatch_cpu("batch_norm", x.dtype(), [&]<typename T>(T) { statistics<T>(x, mean, variance); });
    },
    [](const Tensor& x, const Tensor& mean, const Tensor& inv_std, const Tensor& scale, const Tensor& bias,
       const Tensor& residual, bool relu, const Tensor& mask, const Tensor& y) {
      dispatch_cpu("batch_norm", x.dtype(), [&]<typename T>(T) {
        apply<T>(x, mean, inv_std, scale, bias, residual, relu, mask, y);
      });
    },
    [](const Tensor& dy, const Tensor& mask, const Tensor& x, const Tensor& mean, const Tensor& inv_std,
       const Tensor& d_scale, const Tensor& d_bias) {
      dispatch_cpu("batch_norm", x.dtype(), [&]<typename T>(T) {
        reduce<T>(dy, mask, x, mean, inv_std, d_scale, d_bias);
      });
    },
    [](const Tensor& dy, const Tensor& mask, const Tensor& x, const Tensor& mean, const Tensor& inv_std,
       const Tensor& scale, const Tensor& d_scale, const Tensor& d_bias, std::int64_t count, const Tensor& dx,
       const Tensor& d_residual) {
      dispatch_cpu("batch_norm", x.dtype(), [&]<typename T>(T) {
        apply_backward<T>(dy, mask, x, mean, inv_std, scale, d_scale, d_bias, count, dx, d_residual);
      });
    },
    finish_statistics,
};

}  // namespace kindred
