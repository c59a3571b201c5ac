// Filter gradient: dw[k, a, q] = sum over pixels of dy[pixel, k] * x[pixel * pixel_stride + a * row + q], where
// q runs over the kw * c consecutive floats that a row of taps reads.
#include <kindred/engine/cpu/parallel.h>
#include <kindred/layers/conv2d/direct.h>
#include <kindred/layers/conv2d/direct_internal.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <kindred/layers/conv2d/direct_weight.cpp>
#include <hwy/foreach_target.h>  // compiles this file for the other kinds of vectors
#include <kindred/layers/conv2d/direct_target.h>

HWY_BEFORE_NAMESPACE();
namespace kindred::direct::HWY_NAMESPACE {
namespace {

// Output rows that are processed between two updates of the sums in memory. Their pixels stay in the L1 cache.
constexpr std::int64_t strip_rows = 4;

// The sums of so many taps stay in registers.
constexpr int most_taps = registers == 32 ? 16 : 12;

// A strip of output rows of one image, and the rows of x that some rows of taps read there.
struct Strip {
  const float* x;   // the first tap of the first pixel
  const float* dy;  // the first pixel
  std::int64_t rows, columns;
  std::ptrdiff_t x_row;                    // floats from one row of x to the next
  std::ptrdiff_t x_row_step, dy_row_step;  // floats from one output row to the next
  std::int64_t channels;                   // of dy
};

// sums[row][q][lanes] += the strip's part, for TapRows rows of Taps consecutive q each, and for `lanes` channels k.
template <int PixelStride, int TapRows, int Taps>
void outer_product(const Strip& s, float* sums, std::ptrdiff_t sums_row, std::ptrdiff_t sums_step) {
  Vector sum[TapRows][Taps];
#pragma GCC unroll 32
  for (int a = 0; a < TapRows; ++a)
#pragma GCC unroll 32
    for (int q = 0; q < Taps; ++q) sum[a][q] = zero();
  for (std::int64_t row = 0; row < s.rows; ++row) {
    const float* x = s.x + row * s.x_row_step;
    const float* dy = s.dy + row * s.dy_row_step;
    for (std::int64_t column = 0; column < s.columns; ++column, x += PixelStride, dy += s.channels) {
      const Vector gradient = load(dy);
      __builtin_prefetch(dy + strip_rows * s.dy_row_step);  // the same pixel of the next strip
#pragma GCC unroll 32
      for (int a = 0; a < TapRows; ++a)
#pragma GCC unroll 32
        for (int q = 0; q < Taps; ++q) sum[a][q] = multiply_add(x[a * s.x_row + q], gradient, sum[a][q]);
    }
  }
#pragma GCC unroll 32
  for (int a = 0; a < TapRows; ++a)
#pragma GCC unroll 32
    for (int q = 0; q < Taps; ++q) {
      // The strip has its own sum first, because a long running sum would lose more to rounding.
      float* to = sums + a * sums_row + q * sums_step;
      store(to, hn::Add(load(to), sum[a][q]));
    }
}

// All q of one row of taps: first as many at a time as there are registers, then the rest.
template <int PixelStride, int Taps>
void outer_products(Strip s, std::int64_t length, float* sums, std::ptrdiff_t sums_step) {
  for (; length >= Taps; length -= Taps, s.x += Taps, sums += Taps * sums_step)
    outer_product<PixelStride, 1, Taps>(s, sums, 0, sums_step);
  if constexpr (Taps > 1)
    if (length > 0) outer_products<PixelStride, Taps / 2>(s, length, sums, sums_step);
}

// Adds to sums[kh][kw * c][k] the part of the output rows [begin, end) and of `lanes` channels of dy.
template <int PixelStride>
void add_strip(const ConvShape& s, ScratchImage& image, const float* dy, std::int64_t begin, std::int64_t end,
               float* sums) {
  const std::int64_t length = s.kw * s.c;
  auto strip = [&](std::int64_t row, std::int64_t rows, std::int64_t tap) {
    const std::int64_t top = row * s.stride + tap - s.pad;  // the row of the image
    return Strip{image.data() + top * image.row(),
                 dy + row * s.out_w * s.k,
                 rows,
                 s.out_w,
                 image.row(),
                 s.stride * image.row(),
                 s.out_w * s.k,
                 s.k};
  };
  if constexpr (registers == 32 && (PixelStride == 3 || PixelStride == 6)) {
    // The 3 x 3 taps of 3 colours of a stem all fit in registers, if no row of taps lies outside the image.
    if (length == 9 && s.kh == 3 && begin * s.stride >= s.pad && (end - 1) * s.stride + 2 - s.pad < s.h)
      return outer_product<PixelStride, 3, 9>(strip(begin, end - begin, 0), sums, 9 * s.k, s.k);
  }
  for (std::int64_t a = 0; a < s.kh; ++a) {
    std::int64_t first = begin, last = end;  // without the rows where this tap lies outside the image
    while (first < last && first * s.stride + a < s.pad) ++first;
    while (first < last && (last - 1) * s.stride + a - s.pad >= s.h) --last;
    if (first < last)
      outer_products<PixelStride, most_taps>(strip(first, last - first, a), length, sums + a * length * s.k,
                                             s.k);
  }
}

template <int PixelStride>
void add_image(const ConvShape& s, ScratchImage& image, const float* dy, float* sums) {
  for (std::int64_t row = 0; row < s.out_h; row += strip_rows) {
    const std::int64_t end = std::min(row + strip_rows, s.out_h);
    image.need(std::clamp((end - 1) * s.stride + s.kh - s.pad, std::int64_t{0}, s.h));
    for (std::int64_t k = 0; k < s.k; k += lanes) add_strip<PixelStride>(s, image, dy + k, row, end, sums + k);
  }
}

void add_image(const ConvShape& s, ScratchImage& image, const float* dy, float* sums) {
#define KINDRED_CASE(N) \
  case N:               \
    return add_image<N>(s, image, dy, sums);
  switch (s.stride * s.c) { KINDRED_DIRECT_PIXEL_STRIDES(KINDRED_CASE) }
#undef KINDRED_CASE
}

}  // namespace

void backward_weight(const ConvShape& s, const float* x, const float* dy, float* dw) {
  const std::size_t per_filter = static_cast<std::size_t>(s.kh) * static_cast<std::size_t>(s.kw * s.c);
  const std::size_t size = per_filter * static_cast<std::size_t>(s.k);
  const auto threads = static_cast<std::size_t>(compute_threads());
  std::vector<float> sums(threads * size);  // [thread][kh][kw * c][k]
  parallel_ranges(s.n, 1, [&](int range, std::int64_t begin, std::int64_t end) {
    ScratchImage image(s.h, s.w, s.c, s.pad, (s.out_w - 1) * s.stride + s.kw);
    for (std::int64_t n = begin; n < end; ++n) {
      image.set(x + n * s.h * s.w * s.c);
      add_image(s, image, dy + n * s.out_h * s.out_w * s.k, &sums[static_cast<std::size_t>(range) * size]);
    }
  });
  // Adds the threads' sums, always in the same order, and converts from [kh, kw, c, k] to [k, kh, kw, c].
  for (std::size_t k = 0; k < static_cast<std::size_t>(s.k); ++k)
    for (std::size_t q = 0; q < per_filter; ++q) {
      float total = 0;
      for (std::size_t t = 0; t < threads; ++t) total += sums[t * size + q * static_cast<std::size_t>(s.k) + k];
      dw[k * per_filter + q] = total;
    }
}

}  // namespace kindred::direct::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
