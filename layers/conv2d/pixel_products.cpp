#include <kindred/engine/cpu/parallel.h>
#include <kindred/layers/conv2d/pixel_products.h>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <kindred/layers/conv2d/pixel_products.cpp>
#include <hwy/foreach_target.h>  // compiles this file for the other kinds of vectors
#include <kindred/layers/conv2d/register_product.h>

HWY_BEFORE_NAMESPACE();
namespace kindred::pixel_products::HWY_NAMESPACE {

using namespace kindred::HWY_NAMESPACE;

namespace {

// A thread computes so many channels of all results, so that the filters that it needs stay in its L2 cache.
constexpr std::int64_t panel = 2 * lanes;

// Lines of copies are this much longer than the channels, so that those of neighbouring images do not fall into one cache set.
constexpr std::int64_t gap = lanes;

// An output pixel, an input pixel under its filter, and the tap that lies on it; numbers within an image and a filter.
struct Pair {
  std::int64_t output, input, tap;
};

std::vector<Pair> pairs_of(const ConvShape& s) {
  std::vector<Pair> pairs;
  for (std::int64_t output = 0; output < s.out_h * s.out_w; ++output)
    for (std::int64_t tap = 0; tap < s.kh * s.kw; ++tap) {
      const std::int64_t row = output / s.out_w * s.stride + tap / s.kw - s.pad;
      const std::int64_t column = output % s.out_w * s.stride + tap % s.kw - s.pad;
      if (row >= 0 && row < s.h && column >= 0 && column < s.w)
        pairs.push_back({output, row * s.w + column, tap});
    }
  return pairs;
}

// What forward and the data gradient have in common: images [n, from_pixels, from_channels] become [n, to_pixels, to_channels].
struct Images {
  std::int64_t pixels, channels;
  std::int64_t step() const { return pixels * channels; }  // from an image to the next one
};

// The filters for one panel of results: [tap][channel of `from`][panel].
std::int64_t panel_floats(const ConvShape& s, std::int64_t from_channels) {
  return s.kh * s.kw * from_channels * panel;
}

// The panel's filters, with outputs as neighbours.
void take_outputs(const ConvShape& s, const float* w, std::int64_t first, float* to) {
  const std::int64_t length = s.kh * s.kw * s.c;
  for (std::int64_t q = 0; q < length; q += lanes)
    for (std::int64_t k = 0; k < panel; k += lanes)
      transpose(w + (first + k) * length + q, length, to + q * panel + k, panel);
}

void take_inputs(const ConvShape& s, const float* w, std::int64_t first, float* to) {
  const std::int64_t taps = s.kh * s.kw;
  for (std::int64_t k = 0; k < s.k; ++k)
    for (std::int64_t tap = 0; tap < taps; ++tap)
      for (std::int64_t c = 0; c < panel; c += lanes)
        store(to + (tap * s.k + k) * panel + c, load(w + (k * taps + tap) * s.c + first + c));
}

// One panel of the results of all images, from the panel's filters. `pairs` has those of each pixel of `to` one after the
// other, with `to` as the output.
void add_products(const ConvShape& s, const std::vector<Pair>& pairs, const Images& from, const Images& to,
                  const float* x, const float* filters, const float* addend, float* y) {
  Product product{s.n, panel, from.channels, from.step(), 1, panel, to.step(), false};
  std::size_t next = 0;
  for (std::int64_t pixel = 0; pixel < to.pixels; ++pixel) {
    float* const results = y + pixel * to.channels;
    product.accumulate = addend != nullptr;
    if (addend != nullptr && addend != y)
      for (std::int64_t n = 0; n < s.n; ++n)
        std::copy_n(addend + n * to.step() + pixel * to.channels, panel, results + n * to.step());
    for (; next < pairs.size() && pairs[next].output == pixel; ++next) {
      multiply(product, x + pairs[next].input * from.channels,
               filters + pairs[next].tap * from.channels * panel, results);
      product.accumulate = true;
    }
    if (!product.accumulate)  // no filter lies on it
      for (std::int64_t n = 0; n < s.n; ++n) std::fill_n(results + n * to.step(), panel, 0.0f);
  }
}

// Images with their pixels in the loops outside: [pixel][n][channels + gap].
struct ByPixel {
  ByPixel(std::int64_t n, const Images& images)
      : line(images.channels + gap), floats(images.pixels * n * line) {}
  std::int64_t line, floats;
};

void copy_by_pixel(std::int64_t count, const Images& images, const float* from, float* to) {
  const std::int64_t line = ByPixel(count, images).line;
  parallel_for(count, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n)
      for (std::int64_t pixel = 0; pixel < images.pixels; ++pixel)
        std::copy_n(from + n * images.step() + pixel * images.channels, images.channels,
                    to + (pixel * count + n) * line);
  });
}

Images inputs_of(const ConvShape& s) {
  return {s.h * s.w, s.c};
}

Images outputs_of(const ConvShape& s) {
  return {s.out_h * s.out_w, s.k};
}

}  // namespace

bool supports(const ConvShape& s) {
  return s.c % panel == 0 && s.k % panel == 0;
}

bool prefers(const ConvShape& s) {
  // Measured against oneDNN 2.6 and direct.h (bench/convolution.cpp).
  // With narrow vectors Winograd's is faster for 4x4 pixels only where there are many images.
  const bool most_are_16 = s.stride > 1 || (lanes < 16 && s.n < 128);
  const std::int64_t most_pixels = most_are_16 ? 16 : 9;
  return has_vectors && supports(s) && s.kh * s.kw > 1 && s.out_h * s.out_w <= most_pixels &&
         s.n >= product_rows / 2;
}

std::int64_t scratch_floats(ConvPass pass, const ConvShape& s) {
  if (pass == ConvPass::forward) return compute_threads() * panel_floats(s, s.c);
  if (pass == ConvPass::backward_data) return compute_threads() * panel_floats(s, s.k);
  return ByPixel(s.n, inputs_of(s)).floats + ByPixel(s.n, outputs_of(s)).floats;
}

void forward(const ConvShape& s, const float* x, const float* w, float* y, float* scratch) {
  const std::vector<Pair> pairs = pairs_of(s);
  parallel_ranges(s.k / panel, 1, [&](int range, std::int64_t begin, std::int64_t end) {
    float* const filters = scratch + range * panel_floats(s, s.c);
    for (std::int64_t k = begin * panel; k < end * panel; k += panel) {
      take_outputs(s, w, k, filters);
      add_products(s, pairs, inputs_of(s), outputs_of(s), x, filters, nullptr, y + k);
    }
  });
}

void backward_data(const ConvShape& s, const float* dy, const float* w, const float* addend, float* dx,
                   float* scratch) {
  std::vector<Pair> pairs = pairs_of(s);
  for (Pair& pair : pairs) std::swap(pair.output, pair.input);
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Pair& a, const Pair& b) { return a.output < b.output; });
  parallel_ranges(s.c / panel, 1, [&](int range, std::int64_t begin, std::int64_t end) {
    float* const filters = scratch + range * panel_floats(s, s.k);
    for (std::int64_t c = begin * panel; c < end * panel; c += panel) {
      take_inputs(s, w, c, filters);
      add_products(s, pairs, outputs_of(s), inputs_of(s), dy, filters, addend == nullptr ? nullptr : addend + c,
                   dx + c);
    }
  });
}

void backward_weight(const ConvShape& s, const float* x, const float* dy, float* dw, float* scratch) {
  std::vector<Pair> pairs = pairs_of(s);
  std::stable_sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.tap < b.tap; });
  const ByPixel inputs(s.n, inputs_of(s)), outputs(s.n, outputs_of(s));
  float* const x_by_pixel = scratch;
  float* const dy_by_pixel = scratch + inputs.floats;
  copy_by_pixel(s.n, inputs_of(s), x, x_by_pixel);
  copy_by_pixel(s.n, outputs_of(s), dy, dy_by_pixel);
  const std::int64_t taps = s.kh * s.kw;
  parallel_for(s.c / panel, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin * panel; c < end * panel; c += panel) {
      std::int64_t written = 0;                              // taps
      const auto clear_taps_until = [&](std::int64_t tap) {  // they lie on no pixel of any image
        for (; written < tap; ++written)
          for (std::int64_t k = 0; k < s.k; ++k) std::fill_n(dw + (k * taps + written) * s.c + c, panel, 0.0f);
      };
      for (const Pair& pair : pairs) {
        clear_taps_until(pair.tap);
        const Product product{s.k, panel, s.n, 1, outputs.line, inputs.line, taps * s.c, written > pair.tap};
        multiply(product, dy_by_pixel + pair.output * s.n * outputs.line,
                 x_by_pixel + pair.input * s.n * inputs.line + c, dw + pair.tap * s.c + c);
        written = pair.tap + 1;
      }
      clear_taps_until(taps);
    }
  });
}

}  // namespace kindred::pixel_products::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kindred::pixel_products {

HWY_EXPORT(supports);
HWY_EXPORT(prefers);
HWY_EXPORT(scratch_floats);
HWY_EXPORT(forward);
HWY_EXPORT(backward_data);
HWY_EXPORT(backward_weight);

bool supports(const ConvShape& s) {
  return KINDRED_FOR_TARGET(supports)(s);
}

bool prefers(const ConvShape& s) {
  return KINDRED_FOR_TARGET(prefers)(s);
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

}  // namespace kindred::pixel_products
#endif
