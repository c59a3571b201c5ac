// Forward and data gradient, and the parts that all passes share.
#include <kindred/engine/cpu/parallel.h>
#include <kindred/layers/conv2d/winograd.h>

#include <algorithm>
#include <cstddef>
#include <numeric>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <kindred/layers/conv2d/winograd.cpp>
#include <hwy/foreach_target.h>  // compiles this file for the other kinds of vectors
#include <kindred/layers/conv2d/winograd_internal.h>

HWY_BEFORE_NAMESPACE();
namespace kindred::winograd::HWY_NAMESPACE {
namespace {

// Transforms one row of tiles back to pixels: y = A^T m A for the four by four outputs of each tile, except
// those that lie beyond the image.
template <bool with_addend, bool past_cache>
void transform_outputs(const ConvShape& s, std::int64_t channels, const float* m, std::ptrdiff_t position_step,
                       const TileRow& tiles, const float* addend, float* y) {
  const auto rows = static_cast<int>(std::min<std::int64_t>(outputs, s.h - tiles.row));
  for (std::int64_t tile = 0; tile < tiles.tiles_across; ++tile) {
    const auto columns = static_cast<int>(std::min<std::int64_t>(outputs, s.w - tile * outputs));
    const std::ptrdiff_t start = ((tiles.image * s.h + tiles.row) * s.w + tile * outputs) * channels;
    for (std::int64_t c = 0; c < channels; c += lanes, m += lanes) {
      Vector half[outputs][inputs];
#pragma GCC unroll 6
      for (int j = 0; j < inputs; ++j) {
        Vector from[inputs], to[outputs];
#pragma GCC unroll 6
        for (int i = 0; i < inputs; ++i) from[i] = load(m + (i * inputs + j) * position_step);
        output_line(from, to);
#pragma GCC unroll 4
        for (int i = 0; i < outputs; ++i) half[i][j] = to[i];
      }
#pragma GCC unroll 4
      for (int i = 0; i < outputs; ++i) {
        if (i >= rows) break;
        const std::ptrdiff_t at = start + i * s.w * channels + c;
        Vector to[outputs];
        output_line(half[i], to);
#pragma GCC unroll 4
        for (int j = 0; j < outputs; ++j) {
          if (j >= columns) break;
          if constexpr (with_addend) to[j] = hn::Add(to[j], load(addend + at + j * channels));
          if constexpr (past_cache)
            hn::Stream(to[j], floats, y + at + j * channels);
          else
            store(y + at + j * channels, to[j]);
        }
      }
    }
  }
}

auto choose_transform_outputs(bool addend, bool past_cache) {
  if (addend) return past_cache ? transform_outputs<true, true> : transform_outputs<true, false>;
  return past_cache ? transform_outputs<false, true> : transform_outputs<false, false>;
}

// Used by both passes: `from` images have c channels, `to` images have k.
void convolve(const ConvShape& s, std::int64_t c, std::int64_t k, const float* from, const float* u,
              const float* addend, float* to, float* scratch) {
  const Tiles tiles(s);
  const Block block(s);
  const Basis from_basis(block, c), to_basis(block, k);
  const auto transform_outputs_ =
      choose_transform_outputs(addend != nullptr, worth_streaming(to, s.n * s.h * s.w * k));
  parallel_ranges(tiles.rows, block.rows, [&](int range, std::int64_t begin, std::int64_t end) {
    float* v = scratch + range * Scratch(s, block).floats;
    float* m = v + from_basis.floats();
    float* lines = m + to_basis.floats();
    for (std::int64_t first = begin; first < end; first += block.rows) {
      const std::int64_t rows = std::min(block.rows, end - first);
      for (std::int64_t r = 0; r < rows; ++r)
        transform_images(s, c, from, TileRow(tiles, first + r), v + r * tiles.across * c, from_basis.step,
                         lines);
      // Tiles after the last one hold data of an earlier block. Their products are not used.
      const std::int64_t count = (rows * tiles.across + product_rows - 1) / product_rows * product_rows;
      const Product product{count, k, c, c, 1, k, k, false};
      for (int p = 0; p < positions; ++p)
        multiply(product, v + p * from_basis.step, u + p * filter_step(s), m + p * to_basis.step);
      for (std::int64_t r = 0; r < rows; ++r)
        transform_outputs_(s, k, m + r * tiles.across * k, to_basis.step, TileRow(tiles, first + r), addend,
                           to);
    }
    hwy::FlushStream();  // only this orders streaming stores with later stores
  });
}

}  // namespace

void transform_images(const ConvShape& s, std::int64_t channels, const float* x, const TileRow& tiles,
                      float* to, std::ptrdiff_t position_step, float* lines) {
  // Columns are transformed first, each once even if two tiles need it: lines[6][column + 1][16], with zeros at
  // both sides.
  const std::ptrdiff_t line = (tiles.tiles_across * outputs + 2) * lanes;
  float* zeros = lines + inputs * line;
  for (int i = 0; i < inputs; ++i) {
    store(lines + i * line, zero());
    for (std::int64_t j = (s.w + 1) * lanes; j < line; j += lanes) store(lines + i * line + j, zero());
  }
  store(zeros, zero());
  const std::ptrdiff_t next_row =
      outputs * s.w * channels;  // one row of tiles, prefetched; a prefetch never faults
  const float* pixel[inputs];
  std::ptrdiff_t step[inputs];  // 0 for a row outside the image
  for (std::int64_t c = 0; c < channels; c += lanes, to += lanes) {
    for (int i = 0; i < inputs; ++i) {
      const std::int64_t row = tiles.row + i - 1;
      const bool inside = row >= 0 && row < s.h;
      pixel[i] = inside ? x + (tiles.image * s.h + row) * s.w * channels + c : zeros;
      step[i] = inside ? channels : 0;
    }
    for (std::int64_t j = 0; j < s.w; ++j) {
      Vector from[inputs], column[inputs];
#pragma GCC unroll 6
      for (int i = 0; i < inputs; ++i) {
        from[i] = load(pixel[i]);
        if (i >= 2) __builtin_prefetch(pixel[i] + next_row, 0, 2);
        pixel[i] += step[i];
      }
      image_line(from, column);
#pragma GCC unroll 6
      for (int i = 0; i < inputs; ++i) store(lines + i * line + (j + 1) * lanes, column[i]);
    }
    for (std::int64_t tile = 0; tile < tiles.tiles_across; ++tile)
#pragma GCC unroll 6
      for (int i = 0; i < inputs; ++i) {
        const float* row = lines + i * line + tile * outputs * lanes;
        Vector from[inputs], result[inputs];
#pragma GCC unroll 6
        for (int j = 0; j < inputs; ++j) from[j] = load(row + j * lanes);
        image_line(from, result);
#pragma GCC unroll 6
        for (int j = 0; j < inputs; ++j)
          store(to + tile * channels + (i * inputs + j) * position_step, result[j]);
      }
  }
}

std::int64_t line_floats(const ConvShape& s) {
  return (inputs * (Tiles(s).across * outputs + 2) + 1) * lanes;
}

Block::Block(const ConvShape& s) {
  constexpr std::int64_t cache_floats = std::int64_t{96} << 10;  // for both images, leaving room for filters
  constexpr std::int64_t least = 64;                             // tiles, for which the filters are read once
  const std::int64_t across = Tiles(s).across;
  const std::int64_t whole = product_rows / std::gcd(across, std::int64_t{product_rows});
  const std::int64_t wanted = std::max(least, cache_floats / (positions * (s.c + s.k)));
  rows = std::max<std::int64_t>(1, wanted / (across * whole)) * whole;
  tiles = rows * across;
}

void forward(const ConvShape& s, const float* x, const float* w, float* y, float* scratch) {
  transform_filters(s, false, w, scratch);
  convolve(s, s.c, s.k, x, scratch, nullptr, y, scratch + positions * filter_step(s));
}

void backward_data(const ConvShape& s, const float* dy, const float* w, const float* addend, float* dx,
                   float* scratch) {
  transform_filters(s, true, w, scratch);
  convolve(s, s.k, s.c, dy, scratch, addend, dx, scratch + positions * filter_step(s));
}

std::int64_t scratch_floats(ConvPass pass, const ConvShape& s) {
  const std::int64_t threads = compute_threads(), filters = positions * filter_step(s);
  return threads * Scratch(s, Block(s)).floats +
         (pass == ConvPass::backward_weight ? threads * filters : filters);
}

bool supports(const ConvShape& s) {
  return s.kh == 3 && s.kw == 3 && s.stride == 1 && s.pad == 1 && s.c % lanes == 0 && s.k % lanes == 0;
}

bool prefers(ConvPass pass, const ConvShape& s) {
  // Measured against direct.h, pixel_products.h and oneDNN 2.6, which has Winograd's for AVX-512 only
  // (bench/convolution.cpp).
  if (!has_vectors || !supports(s)) return false;
  const Tiles tiles(s);
  const std::int64_t computed = tiles.down * tiles.across * outputs * outputs;
  if (2 * computed > 3 * s.h * s.w) return false;
  if (lanes < 16) {
    // Transforming filters takes as long as so many tiles, if there are many channels.
    constexpr std::int64_t fewest_tiles = 128;
    return s.c <= 512 && s.k <= 512 && (s.c * s.k <= 128 * 128 || tiles.rows * tiles.across >= fewest_tiles);
  }
  const std::int64_t most_channels = pass == ConvPass::backward_weight ? 128 : 256;
  return s.c <= most_channels && s.k <= most_channels;
}

}  // namespace kindred::winograd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kindred::winograd {

HWY_EXPORT(supports);
HWY_EXPORT(prefers);
HWY_EXPORT(scratch_floats);
HWY_EXPORT(forward);
HWY_EXPORT(backward_data);
HWY_EXPORT(backward_weight);

bool supports(const ConvShape& s) {
  return KINDRED_FOR_TARGET(supports)(s);
}

bool prefers(ConvPass pass, const ConvShape& s) {
  return KINDRED_FOR_TARGET(prefers)(pass, s);
}

std::int64_t scratch_floats(ConvPass pass, const ConvShape& s) {
  return KINDRED_FOR_TARGET(scratch_floats)(pass, s);
}

void forward(const ConvShape& s, const float* x, const float* w, float* y, float* scratch) {
  KINDRED_FOR_TARGET(forward)(s, x, w, y, scratch);
}

void backward_data(const ConvShape& s, const float* dy, const float* w, const float* addend, float* dx,
                   float* scratch) {
  KINDRED_FOR_TARGET(backward_data)(s, dy, w, addend, dx, scratch);
}

void backward_weight(const ConvShape& s, const float* x, const float* dy, float* dw, float* scratch) {
  KINDRED_FOR_TARGET(backward_weight)(s, x, dy, dw, scratch);
}

}  // namespace kindred::winograd
#endif
