// The numbers of a 2-d convolution, and its three passes: the same for every library and every device.
#pragma once

#include <compare>
#include <cstdint>

namespace kindred {

enum class ConvPass : std::uint8_t { forward, backward_data, backward_weight };

struct ConvShape {
  std::int64_t n, h, w, c;              // x[n, h, w, c]
  std::int64_t k, kh, kw, stride, pad;  // filters[k, kh, kw, c]; pixels, the same on both axes and all sides
  std::int64_t out_h = 0, out_w = 0;    // y[n, out_h, out_w, k]

  std::int64_t x_elements() const { return n * h * w * c; }
  std::int64_t filter_elements() const { return k * kh * kw * c; }
  std::int64_t y_elements() const { return n * out_h * out_w * k; }
  auto operator<=>(const ConvShape&) const = default;
};

}  // namespace kindred
