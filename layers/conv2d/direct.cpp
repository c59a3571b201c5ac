// Forward and data gradient.
#include <kindred/engine/cpu/parallel.h>
#include <kindred/layers/conv2d/direct.h>
#include <kindred/layers/conv2d/direct_internal.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <kindred/layers/conv2d/direct.cpp>
#include <hwy/foreach_target.h>  // compiles this file for the other kinds of vectors
#include <kindred/layers/conv2d/direct_target.h>

HWY_BEFORE_NAMESPACE();
namespace kindred::direct::HWY_NAMESPACE {
namespace {

// One product as described at the top of direct.h, for a plane of output pixels.
struct Product {
  std::int64_t rows, columns;  // of output pixels
  std::int64_t row_stride,
      first_row;                // output row r uses the image rows r * row_stride + first_row + [0, taps)
  std::ptrdiff_t first_column;  // floats from the start of a scratch row to the taps of output column 0
  std::int64_t taps;            // rows of taps
  std::int64_t length;          // q runs over [0, length)
  std::int64_t channels;        // of the output: a multiple of `lanes`
  std::vector<float> weights;   // [channel block][tap][q][width of the block]
  std::ptrdiff_t y_row_step, y_pixel_step;  // floats
  bool past_cache = false;                  // see worth_streaming
};

// Output pixels whose sums stay in registers, with two vectors of channels each.
constexpr int pixels = registers == 32 ? 8 : 6;

std::int64_t block_width(std::int64_t channels) {
  return channels % (2 * lanes) == 0 ? 2 * lanes : lanes;
}

// What the kernels of one output row share: `taps` rows of `length` floats, x_row apart, and the same number of
// rows of weights.
struct Operands {
  std::ptrdiff_t x_row;
  const float* w;
  std::int64_t taps, length;
  std::ptrdiff_t y_pixel_step;
  bool past_cache;
};

// Pixels adjacent pixels and Vectors * lanes channels. The accumulators stay in registers through all taps. (For
// that the loops over them must be unrolled, which the pragmas request.)
template <int PixelStride, int Vectors, int Pixels>
void product_kernel(const Operands& operands, const float* x, const float* addend, float* y) {
  const std::ptrdiff_t step = operands.y_pixel_step;
  const std::int64_t length = operands.length;
  Vector sum[Pixels][Vectors];
#pragma GCC unroll 32
  for (int i = 0; i < Pixels; ++i)
#pragma GCC unroll 32
    for (int v = 0; v < Vectors; ++v) sum[i][v] = addend ? load(addend + i * step + v * lanes) : zero();

  const float* w = operands.w;
  for (std::int64_t tap = 0; tap < operands.taps; ++tap, x += operands.x_row)
    for (std::int64_t q = 0; q < length; ++q, w += Vectors * lanes) {
      Vector filter[Vectors];
#pragma GCC unroll 32
      for (int v = 0; v < Vectors; ++v) filter[v] = load(w + v * lanes);
#pragma GCC unroll 32
      for (int i = 0; i < Pixels; ++i)
#pragma GCC unroll 32
        for (int v = 0; v < Vectors; ++v)
          sum[i][v] = multiply_add(x[q + i * PixelStride], filter[v], sum[i][v]);
    }

  const bool past_cache = operands.past_cache;
#pragma GCC unroll 32
  for (int i = 0; i < Pixels; ++i)
#pragma GCC unroll 32
    for (int v = 0; v < Vectors; ++v) {
      float* to = y + i * step + v * lanes;
      if (past_cache)
        hn::Stream(sum[i][v], floats, to);
      else
        store(to, sum[i][v]);
    }
}

// Processes as many whole groups of Pixels as the row still has. A smaller kernel processes the rest.
template <int PixelStride, int Vectors, int Pixels>
void product_row(const Operands& operands, std::int64_t columns, const float* x, const float* addend,
                 float* y) {
  for (; columns >= Pixels; columns -= Pixels) {
    product_kernel<PixelStride, Vectors, Pixels>(operands, x, addend, y);
    x += Pixels * PixelStride;
    y += Pixels * operands.y_pixel_step;
    if (addend) addend += Pixels * operands.y_pixel_step;
  }
  if constexpr (Pixels > 1)
    if (columns > 0) product_row<PixelStride, Vectors, Pixels / 2>(operands, columns, x, addend, y);
}

template <int PixelStride>
void product_plane(const Product& p, ScratchImage& image, const float* addend, float* y) {
  const std::int64_t width = block_width(p.channels);
  for (std::int64_t row = 0; row < p.rows; ++row, y += p.y_row_step) {
    const std::int64_t top =
        row * p.row_stride + p.first_row;  // the image row of the first tap; it may lie outside
    const std::int64_t first = std::clamp(-top, std::int64_t{0}, p.taps),
                       last = std::clamp(image.height() - top, first, p.taps);
    image.need(std::min(top + last, image.height()));
    const float* x = first < last ? image.data() + (top + first) * image.row() + p.first_column : nullptr;
    const float* add = addend ? addend + row * p.y_row_step : nullptr;
    for (std::int64_t k = 0; k < p.channels; k += width) {
      const float* w = p.weights.data() + (k * p.taps + first * width) * p.length;
      const Operands operands{image.row(), w, last - first, p.length, p.y_pixel_step, p.past_cache};
      const float* add_k = add ? add + k : nullptr;
      if (width == lanes)
        product_row<PixelStride, 1, 2 * pixels>(operands, p.columns, x, add_k, y + k);
      else
        product_row<PixelStride, 2, pixels>(operands, p.columns, x, add_k, y + k);
    }
  }
}

void run_product(std::int64_t pixel_stride, const Product& p, ScratchImage& image, const float* addend,
                 float* y) {
  if (p.taps == 0 && addend == y) return;  // nothing to add, because dx holds the result already
#define KINDRED_CASE(N) \
  case N:               \
    return product_plane<N>(p, image, addend, y);
  switch (pixel_stride) { KINDRED_DIRECT_PIXEL_STRIDES(KINDRED_CASE) }
#undef KINDRED_CASE
}

// weights[block][tap][q][width] from value(tap, q, channel).
template <typename Value>
void pack(Product& p, Value&& value) {
  const std::int64_t width = block_width(p.channels);
  p.weights.reserve(static_cast<std::size_t>(p.taps) * static_cast<std::size_t>(p.length) *
                    static_cast<std::size_t>(p.channels));
  for (std::int64_t first = 0; first < p.channels; first += width)
    for (std::int64_t tap = 0; tap < p.taps; ++tap)
      for (std::int64_t q = 0; q < p.length; ++q)
        for (std::int64_t k = first; k < first + width; ++k) p.weights.push_back(value(tap, q, k));
}

// The taps of one axis of a filter that reach the pixels i = u * stride + parity of x, ordered by increasing
// rows of dy. Tap a uses row u + (parity + pad - a) / stride, if that is an integer. These rows are adjacent.
struct AxisTaps {
  std::vector<std::int64_t> tap;
  std::int64_t first = 0;  // the row that the first tap uses for u = 0
};

AxisTaps axis_taps(std::int64_t kernel, std::int64_t stride, std::int64_t pad, std::int64_t parity) {
  AxisTaps taps;
  for (std::int64_t a = kernel - 1; a >= 0; --a) {
    const std::int64_t distance = parity + pad - a;
    if (distance % stride != 0) continue;
    if (taps.tap.empty()) taps.first = distance / stride;
    taps.tap.push_back(a);
  }
  return taps;
}

// How many numbers in [0, size) have this parity.
std::int64_t count_of(std::int64_t size, std::int64_t stride, std::int64_t parity) {
  return (size - parity + stride - 1) / stride;
}

// The columns of dy, including zeros around them, that some tap of some pixel of dx uses: [-before, width -
// before).
struct Reach {
  std::int64_t before = 0, width = 0;
};

Reach reach_of_columns(const ConvShape& s) {
  std::int64_t begin = 0, end = 0;
  for (std::int64_t parity = 0; parity < std::min(s.stride, s.w); ++parity) {
    const AxisTaps across = axis_taps(s.kw, s.stride, s.pad, parity);
    if (across.tap.empty()) continue;
    begin = std::min(begin, across.first);
    end = std::max(
        end, across.first + count_of(s.w, s.stride, parity) - 1 + static_cast<std::int64_t>(across.tap.size()));
  }
  return {-begin, end - begin};
}

// One of the products that make up a data gradient: the pixels of dx in the rows row_parity, row_parity +
// stride, ... and the corresponding columns. Only every stride-th tap of a filter reaches them.
struct ParityPart {
  Product product;
  std::ptrdiff_t dx_start;  // of the first output pixel in dx
};

ParityPart parity_part(const ConvShape& s, const float* w, std::int64_t row_parity, std::int64_t column_parity,
                       std::int64_t before) {
  const AxisTaps down = axis_taps(s.kh, s.stride, s.pad, row_parity);
  const AxisTaps across = axis_taps(s.kw, s.stride, s.pad, column_parity);
  ParityPart part;
  Product& p = part.product;
  p.rows = count_of(s.h, s.stride, row_parity);
  p.columns = count_of(s.w, s.stride, column_parity);
  p.row_stride = 1;
  p.first_row = down.first;
  p.first_column = (before + across.first) * s.k;
  p.taps = across.tap.empty() ? 0 : static_cast<std::int64_t>(down.tap.size());
  p.length = static_cast<std::int64_t>(across.tap.size()) * s.k;
  p.channels = s.c;
  p.y_row_step = s.stride * s.w * s.c;
  p.y_pixel_step = s.stride * s.c;
  pack(p, [&](std::int64_t tap, std::int64_t q, std::int64_t c) {
    const int at = static_cast<int>(q), channels = static_cast<int>(s.k);  // 64-bit divisions are slow
    const std::int64_t a = down.tap[static_cast<std::size_t>(tap)],
                       b = across.tap[static_cast<std::size_t>(at / channels)];
    return w[((at % channels * s.kh + a) * s.kw + b) * s.c + c];
  });
  part.dx_start = (row_parity * s.w + column_parity) * s.c;
  return part;
}

}  // namespace

void forward(const ConvShape& s, const float* x, const float* w, float* y) {
  Product p;
  p.rows = s.out_h;
  p.columns = s.out_w;
  p.channels = s.k;
  p.row_stride = s.stride;
  p.first_row = -s.pad;
  p.first_column = 0;
  p.taps = s.kh;
  p.length = s.kw * s.c;
  p.y_row_step = s.out_w * s.k;
  p.y_pixel_step = s.k;
  p.past_cache = worth_streaming(y, s.y_elements());
  pack(p,
       [&](std::int64_t tap, std::int64_t q, std::int64_t k) { return w[(k * s.kh + tap) * s.kw * s.c + q]; });

  parallel_for(s.n, 1, [&](std::int64_t begin, std::int64_t end) {
    ScratchImage image(s.h, s.w, s.c, s.pad, (s.out_w - 1) * s.stride + s.kw);
    for (std::int64_t n = begin; n < end; ++n) {
      image.set(x + n * s.h * s.w * s.c);
      run_product(s.stride * s.c, p, image, nullptr, y + n * s.out_h * s.out_w * s.k);
    }
    hwy::FlushStream();  // only this orders streaming stores with later stores
  });
}

void backward_data(const ConvShape& s, const float* dy, const float* w, const float* addend, float* dx) {
  const Reach reach = reach_of_columns(s);
  std::vector<ParityPart> parts;
  for (std::int64_t row = 0; row < std::min(s.stride, s.h); ++row)
    for (std::int64_t column = 0; column < std::min(s.stride, s.w); ++column)
      parts.push_back(parity_part(s, w, row, column, reach.before));
  const bool past_cache = worth_streaming(dx, s.x_elements());
  for (ParityPart& part : parts) part.product.past_cache = past_cache;

  parallel_for(s.n, 1, [&](std::int64_t begin, std::int64_t end) {
    ScratchImage image(s.out_h, s.out_w, s.k, reach.before, reach.width);
    for (std::int64_t n = begin; n < end; ++n) {
      image.set(dy + n * s.out_h * s.out_w * s.k);
      const std::int64_t at = n * s.h * s.w * s.c;
      for (const ParityPart& part : parts)
        run_product(s.k, part.product, image, addend ? addend + at + part.dx_start : nullptr,
                    dx + at + part.dx_start);
    }
    hwy::FlushStream();
  });
}

bool supports(ConvPass pass, const ConvShape& s) {
  if (s.stride != 1 && s.stride != 2) return false;
  switch (pass) {
    case ConvPass::forward:
      return s.k % lanes == 0 && known_pixel_stride(s.stride * s.c);
    case ConvPass::backward_data:
      return s.c % lanes == 0 && known_pixel_stride(s.k);
    case ConvPass::backward_weight:
      return s.k % lanes == 0 && known_pixel_stride(s.stride * s.c);
  }
  return false;
}

bool prefers(ConvPass pass, const ConvShape& s) {
  if (!has_vectors || !supports(pass, s)) return false;
  // Measured against oneDNN 2.6 (bench/convolution.cpp) on the shapes of ResNets.
  if (lanes < 16) {
    if (pass == ConvPass::backward_weight) return s.c <= 3 && s.kh > 1 && s.k >= 32;
    return pass == ConvPass::forward && s.c <= 16 && s.k >= 32 && s.k <= 64;
  }
  switch (pass) {
    case ConvPass::forward:
      return s.c <= 32 && s.k <= 64;
    // As fast as oneDNN, but oneDNN's has no addend, which would need an additional pass over dx.
    case ConvPass::backward_data:
      return s.c <= 64 && s.k <= 128;
    case ConvPass::backward_weight:
      return s.kh > 1 && s.c <= 64 && s.k >= 32 && s.k <= 128;
  }
  return false;
}

}  // namespace kindred::direct::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kindred::direct {

HWY_EXPORT(supports);
HWY_EXPORT(prefers);
HWY_EXPORT(forward);
HWY_EXPORT(backward_data);
HWY_EXPORT(backward_weight);

bool supports(ConvPass pass, const ConvShape& s) {
  return KINDRED_FOR_TARGET(supports)(pass, s);
}

bool prefers(ConvPass pass, const ConvShape& s) {
  return KINDRED_FOR_TARGET(prefers)(pass, s);
}

void forward(const ConvShape& s, const float* x, const float* w, float* y) {
  KINDRED_FOR_TARGET(forward)(s, x, w, y);
}

void backward_data(const ConvShape& s, const float* dy, const float* w, const float* addend, float* dx) {
  KINDRED_FOR_TARGET(backward_data)(s, dy, w, addend, dx);
}

void backward_weight(const ConvShape& s, const float* x, const float* dy, float* dw) {
  KINDRED_FOR_TARGET(backward_weight)(s, x, dy, dw);
}

}  // namespace kindred::direct
#endif
