// Filter gradient: dw[k, a, q] = sum over pixels of dy[pixel, k] * x[pixel * pixel_stride + a * row + q], q over the
// kw * c consecutive floats that a row of taps reads.
#include <kindred/engine/parallel.h>
#include <kindred/layers/conv2d/direct.h>
#include <kindred/layers/conv2d/direct_internal.h>

#include <immintrin.h>

#pragma GCC target("avx512f,avx512vl,avx512dq,fma")

namespace kindred::direct {
namespace {

constexpr int lanes = 16;
constexpr int strip_rows = 4;  // output rows between two visits to the sums in memory; their pixels stay in the L1 cache

// A strip of output rows of one image.
struct Strip {
  const float* x;   // of the first pixel's window, at the row of taps in question
  const float* dy;  // of the first pixel
  int rows, columns;
  std::ptrdiff_t x_row_step, dy_row_step;
  int channels;  // of dy
};

// sums[q][16] += the strip's part, for Taps consecutive q and 16 channels k.
template <int PixelStride, int Taps>
void outer_product(const Strip& s, float* sums, std::ptrdiff_t sums_step) {
  __m512 sum[Taps];
  for (int q = 0; q < Taps; ++q) sum[q] = _mm512_setzero_ps();
  for (int row = 0; row < s.rows; ++row) {
    const float* x = s.x + row * s.x_row_step;
    const float* dy = s.dy + row * s.dy_row_step;
    for (int column = 0; column < s.columns; ++column, x += PixelStride, dy += s.channels) {
      const __m512 gradient = _mm512_loadu_ps(dy);
#pragma GCC unroll 16
      for (int q = 0; q < Taps; ++q) sum[q] = _mm512_fmadd_ps(_mm512_set1_ps(x[q]), gradient, sum[q]);
    }
  }
  for (int q = 0; q < Taps; ++q) {
    float* to = sums + q * sums_step;
    _mm512_storeu_ps(to, _mm512_add_ps(_mm512_loadu_ps(to), sum[q]));
  }
}

// All q of a row of taps: 16 at a time, then what is left.
template <int PixelStride, int Taps>
void outer_products(Strip s, int length, float* sums, std::ptrdiff_t sums_step) {
  for (; length >= Taps; length -= Taps, s.x += Taps, sums += Taps * sums_step)
    outer_product<PixelStride, Taps>(s, sums, sums_step);
  if constexpr (Taps > 1)
    if (length > 0) outer_products<PixelStride, Taps / 2>(s, length, sums, sums_step);
}

// Adds one image's part to sums[kh][kw * c][k].
template <int PixelStride>
void add_image(const Shape& s, const PaddedImage& image, const float* dy, float* sums) {
  const std::ptrdiff_t length = static_cast<std::ptrdiff_t>(s.kw) * s.c;
  for (int row = 0; row < s.out_h; row += strip_rows)
    for (int k = 0; k < s.k; k += lanes)
      for (int a = 0; a < s.kh; ++a) {
        const Strip strip{image.data() + (static_cast<std::ptrdiff_t>(row) * s.stride + a) * image.row(),
                          dy + static_cast<std::ptrdiff_t>(row) * s.out_w * s.k + k,
                          std::min(strip_rows, s.out_h - row),
                          s.out_w,
                          s.stride * image.row(),
                          static_cast<std::ptrdiff_t>(s.out_w) * s.k,
                          s.k};
        outer_products<PixelStride, 16>(strip, static_cast<int>(length), sums + a * length * s.k + k, s.k);
      }
}

void add_image(const Shape& s, const PaddedImage& image, const float* dy, float* sums) {
#define KINDRED_CASE(N) \
  case N: return add_image<N>(s, image, dy, sums);
  switch (s.stride * s.c) { KINDRED_DIRECT_PIXEL_STRIDES(KINDRED_CASE) }
#undef KINDRED_CASE
}

}  // namespace

void backward_weight(const Shape& s, const float* x, const float* dy, float* dw) {
  const int full_h = (s.out_h - 1) * s.stride + s.kh, full_w = (s.out_w - 1) * s.stride + s.kw;
  const std::size_t per_filter = static_cast<std::size_t>(s.kh) * static_cast<std::size_t>(s.kw * s.c);
  const std::size_t size = per_filter * static_cast<std::size_t>(s.k);
  const auto threads = static_cast<std::size_t>(compute_threads());
  std::vector<float> sums(threads * size);  // [thread][kh][kw * c][k]
  parallel_ranges(s.n, 1, [&](int range, std::int64_t begin, std::int64_t end) {
    PaddedImage image(s.h, s.w, s.c, s.pad, full_h, full_w);
    for (std::int64_t n = begin; n < end; ++n) {
      image.set(x + n * s.h * s.w * s.c);
      add_image(s, image, dy + n * s.out_h * s.out_w * s.k, &sums[static_cast<std::size_t>(range) * size]);
    }
  });
  // The threads' sums, always in the same order, from [kh, kw, c, k] to [k, kh, kw, c].
  for (std::size_t k = 0; k < static_cast<std::size_t>(s.k); ++k)
    for (std::size_t q = 0; q < per_filter; ++q) {
      float total = 0;
      for (std::size_t t = 0; t < threads; ++t) total += sums[t * size + q * static_cast<std::size_t>(s.k) + k];
      dw[k * per_filter + q] = total;
    }
}

}  // namespace kindred::direct
