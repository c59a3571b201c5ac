// Forward and data gradient.
#include <kindred/engine/parallel.h>
#include <kindred/layers/conv2d/direct.h>
#include <kindred/layers/conv2d/direct_internal.h>

#include <immintrin.h>

#pragma GCC target("avx512f,avx512vl,avx512dq,fma")

namespace kindred::direct {
namespace {

constexpr int lanes = 16;

// One product as the head of direct.h has it, for a plane of output pixels.
struct Product {
  int rows, columns;              // of output pixels
  std::ptrdiff_t x_row_step;      // floats of the scratch image from one output row to the next
  int length;                     // q runs over [0, length)
  std::vector<std::ptrdiff_t> taps;  // where each row of taps starts, in floats from the pixel's address
  int channels;                   // of the output: a multiple of 16
  std::vector<float> weights;     // [channel block][tap][q][width of the block]
  std::ptrdiff_t y_row_step, y_pixel_step;  // floats
};

int block_width(int channels) { return channels % (2 * lanes) == 0 ? 2 * lanes : lanes; }

// Pixels pixels side by side, Vectors * 16 channels: the accumulators stay in registers through all taps.
template <int PixelStride, int Vectors, int Pixels>
void product_kernel(const Product& p, const float* x, const float* w, const float* addend, float* y) {
  __m512 sum[Pixels][Vectors];
  for (int i = 0; i < Pixels; ++i)
    for (int v = 0; v < Vectors; ++v)
      sum[i][v] = addend ? _mm512_loadu_ps(addend + i * p.y_pixel_step + v * lanes) : _mm512_setzero_ps();
  for (const std::ptrdiff_t tap : p.taps) {
    const float* from = x + tap;
    for (int q = 0; q < p.length; ++q, ++from, w += Vectors * lanes) {
      __m512 filter[Vectors];
      for (int v = 0; v < Vectors; ++v) filter[v] = _mm512_loadu_ps(w + v * lanes);
#pragma GCC unroll 16
      for (int i = 0; i < Pixels; ++i) {
        const __m512 value = _mm512_set1_ps(from[i * PixelStride]);
        for (int v = 0; v < Vectors; ++v) sum[i][v] = _mm512_fmadd_ps(value, filter[v], sum[i][v]);
      }
    }
  }
  for (int i = 0; i < Pixels; ++i)
    for (int v = 0; v < Vectors; ++v) _mm512_storeu_ps(y + i * p.y_pixel_step + v * lanes, sum[i][v]);
}

// As many whole groups of Pixels as the row still has; what is left goes to a smaller kernel.
template <int PixelStride, int Vectors, int Pixels>
void product_row(const Product& p, int column, const float* x, const float* w, const float* addend, float* y) {
  for (; column + Pixels <= p.columns; column += Pixels) {
    product_kernel<PixelStride, Vectors, Pixels>(p, x, w, addend, y);
    x += Pixels * PixelStride;
    y += Pixels * p.y_pixel_step;
    if (addend) addend += Pixels * p.y_pixel_step;
  }
  if constexpr (Pixels > 1)
    if (column < p.columns) product_row<PixelStride, Vectors, Pixels / 2>(p, column, x, w, addend, y);
}

template <int PixelStride>
void product_plane(const Product& p, const float* x, const float* addend, float* y) {
  const int width = block_width(p.channels);
  const float* w = p.weights.data();
  const std::ptrdiff_t block = static_cast<std::ptrdiff_t>(p.taps.size()) * p.length * width;
  for (int k = 0; k < p.channels; k += width, w += block)
    for (int row = 0; row < p.rows; ++row) {
      const float* from = x + row * p.x_row_step;
      const float* add = addend ? addend + row * p.y_row_step + k : nullptr;
      float* to = y + row * p.y_row_step + k;
      if (width == lanes) product_row<PixelStride, 1, 16>(p, 0, from, w, add, to);
      else product_row<PixelStride, 2, 8>(p, 0, from, w, add, to);
    }
}

void run_product(int pixel_stride, const Product& p, const float* x, const float* addend, float* y) {
#define KINDRED_CASE(N) \
  case N: return product_plane<N>(p, x, addend, y);
  switch (pixel_stride) { KINDRED_DIRECT_PIXEL_STRIDES(KINDRED_CASE) }
#undef KINDRED_CASE
}

// weights[block][tap][q][width] from value(tap, q, channel).
template <typename Value>
void pack(Product& p, Value&& value) {
  const int width = block_width(p.channels);
  p.weights.reserve(p.taps.size() * static_cast<std::size_t>(p.length) * static_cast<std::size_t>(p.channels));
  for (int first = 0; first < p.channels; first += width)
    for (int tap = 0; tap < static_cast<int>(p.taps.size()); ++tap)
      for (int q = 0; q < p.length; ++q)
        for (int k = first; k < first + width; ++k) p.weights.push_back(value(tap, q, k));
}

// One of the products that make up a data gradient: the pixels of dx in rows first_row, first_row + stride, ... and
// likewise columns. Only every stride-th tap of a filter reaches them.
struct ParityPart {
  Product product;
  std::ptrdiff_t x_start;   // of the first output pixel in the scratch image of dy
  std::ptrdiff_t dx_start;  // of the first output pixel in dx
};

// The taps of one axis that reach pixels of a parity, in the order in which they meet growing rows of dy:
// pixel i = u * stride + parity takes tap a from row u + (parity + pad - a) / stride of dy, where that is whole.
struct AxisTaps {
  std::vector<int> tap;
  int first_offset = 0;  // of the row of dy that the first tap meets, relative to u
};

AxisTaps axis_taps(int kernel, int stride, int pad, int parity) {
  AxisTaps taps;
  for (int a = kernel - 1; a >= 0; --a) {
    const int distance = parity + pad - a;
    if (distance % stride != 0) continue;
    if (taps.tap.empty()) taps.first_offset = distance / stride;
    taps.tap.push_back(a);
  }
  return taps;
}

// Zeros ahead of and behind dy in the scratch image, so that every tap of every pixel of dx reads inside it: the first
// tap lies at most kernel - 1 ahead of a pixel, the last at most pad + 1 behind it.
int border(const Shape& s) { return std::max({s.kh, s.kw, s.pad + 1}); }

ParityPart parity_part(const Shape& s, const float* w, int row_parity, int column_parity, std::ptrdiff_t scratch_row) {
  const AxisTaps down = axis_taps(s.kh, s.stride, s.pad, row_parity);
  const AxisTaps across = axis_taps(s.kw, s.stride, s.pad, column_parity);
  ParityPart part;
  Product& p = part.product;
  p.rows = (s.h - row_parity + s.stride - 1) / s.stride;
  p.columns = (s.w - column_parity + s.stride - 1) / s.stride;
  p.x_row_step = scratch_row;
  p.length = static_cast<int>(across.tap.size()) * s.k;
  if (!across.tap.empty())
    for (int i = 0; i < static_cast<int>(down.tap.size()); ++i) p.taps.push_back(i * scratch_row);
  p.channels = s.c;
  p.y_row_step = static_cast<std::ptrdiff_t>(s.stride) * s.w * s.c;
  p.y_pixel_step = static_cast<std::ptrdiff_t>(s.stride) * s.c;
  pack(p, [&](int tap, int q, int c) {
    const int a = down.tap[static_cast<std::size_t>(tap)], b = across.tap[static_cast<std::size_t>(q / s.k)];
    return w[((static_cast<std::ptrdiff_t>(q % s.k) * s.kh + a) * s.kw + b) * s.c + c];
  });
  part.x_start = (border(s) + down.first_offset) * scratch_row + (border(s) + across.first_offset) * s.k;
  part.dx_start = (static_cast<std::ptrdiff_t>(row_parity) * s.w + column_parity) * s.c;
  return part;
}

}  // namespace

bool processor_has_avx512() {
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512dq");
  return has;
}

void forward(const Shape& s, const float* x, const float* w, float* y) {
  const int full_h = (s.out_h - 1) * s.stride + s.kh, full_w = (s.out_w - 1) * s.stride + s.kw;
  Product p;
  p.rows = s.out_h, p.columns = s.out_w, p.channels = s.k, p.length = s.kw * s.c;
  p.x_row_step = static_cast<std::ptrdiff_t>(s.stride) * full_w * s.c;
  for (int a = 0; a < s.kh; ++a) p.taps.push_back(static_cast<std::ptrdiff_t>(a) * full_w * s.c);
  p.y_row_step = static_cast<std::ptrdiff_t>(s.out_w) * s.k;
  p.y_pixel_step = s.k;
  pack(p, [&](int tap, int q, int k) { return w[(static_cast<std::ptrdiff_t>(k) * s.kh + tap) * s.kw * s.c + q]; });

  parallel_for(s.n, 1, [&](std::int64_t begin, std::int64_t end) {
    PaddedImage image(s.h, s.w, s.c, s.pad, full_h, full_w);
    for (std::int64_t n = begin; n < end; ++n) {
      image.set(x + n * s.h * s.w * s.c);
      run_product(s.stride * s.c, p, image.data(), nullptr, y + n * s.out_h * s.out_w * s.k);
    }
  });
}

void backward_data(const Shape& s, const float* dy, const float* w, const float* addend, float* dx) {
  const int full_h = std::max(s.out_h, s.h / s.stride + 1) + 2 * border(s);
  const int full_w = std::max(s.out_w, s.w / s.stride + 1) + 2 * border(s);
  std::vector<ParityPart> parts;
  for (int row = 0; row < std::min(s.stride, s.h); ++row)
    for (int column = 0; column < std::min(s.stride, s.w); ++column)
      parts.push_back(parity_part(s, w, row, column, static_cast<std::ptrdiff_t>(full_w) * s.k));

  parallel_for(s.n, 1, [&](std::int64_t begin, std::int64_t end) {
    PaddedImage image(s.out_h, s.out_w, s.k, border(s), full_h, full_w);
    for (std::int64_t n = begin; n < end; ++n) {
      image.set(dy + n * s.out_h * s.out_w * s.k);
      const std::int64_t at = n * s.h * s.w * s.c;
      for (const ParityPart& part : parts)
        run_product(s.k, part.product, image.data() + part.x_start,
                    addend ? addend + at + part.dx_start : nullptr, dx + at + part.dx_start);
    }
  });
}

bool supports(Direction direction, const Shape& s) {
  if (!processor_has_avx512() || (s.stride != 1 && s.stride != 2)) return false;
  switch (direction) {
    case Direction::forward: return s.k % lanes == 0 && known_pixel_stride(s.stride * s.c);
    case Direction::backward_data: return s.c % lanes == 0 && known_pixel_stride(s.k);
    case Direction::backward_weight: return s.k % lanes == 0 && known_pixel_stride(s.stride * s.c);
  }
  return false;
}

bool prefers(Direction direction, const Shape& s) {
  // Measured beside oneDNN 2.6 (bench/convolution.cpp): up to 64 channels these are faster, beyond that oneDNN is.
  return supports(direction, s) && s.c <= 64 && s.k <= 64;
}

}  // namespace kindred::direct
