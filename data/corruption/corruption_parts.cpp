#include <kindred/data/corruption/corruption_parts.h>
#include <kindred/data/images/decode.h>
#include <kindred/data/images/jpeg_writer.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace kindred::detail {

int inside(int i, int n, Border border) {
  if (border == Border::nearest || n == 1) return std::clamp(i, 0, n - 1);
  const int period = border == Border::reflect ? 2 * n : 2 * n - 2;
  i %= period;
  if (i < 0) i += period;
  if (i < n) return i;
  return border == Border::reflect ? period - 1 - i : period - i;
}

Plane from_bytes(std::span<const std::uint8_t> pixels, int side) {
  Plane plane(side, 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) plane.values[i] = static_cast<float>(pixels[i]) / 255.0f;
  return plane;
}

void to_bytes(const Plane& plane, std::span<std::uint8_t> pixels) {
  // The addition makes sure that a byte that went through /255 and *255 does not become smaller.
  constexpr float ulp = 1e-4f;
  for (std::size_t i = 0; i < pixels.size(); ++i)
    pixels[i] = static_cast<std::uint8_t>(std::clamp(plane.values[i], 0.0f, 1.0f) * 255.0f + ulp);
}

void quantize(Plane& plane) {
  std::vector<std::uint8_t> bytes(plane.values.size());
  to_bytes(plane, bytes);
  for (std::size_t i = 0; i < bytes.size(); ++i) plane.values[i] = static_cast<float>(bytes[i]) / 255.0f;
}

std::vector<float> gaussian_weights(double sigma, int radius) {
  std::vector<double> weights;
  double sum = 0;
  for (int i = -radius; i <= radius; ++i) {
    weights.push_back(std::exp(-0.5 * i * i / (sigma * sigma)));
    sum += weights.back();
  }
  std::vector<float> normalized;
  for (const double weight : weights) normalized.push_back(static_cast<float>(weight / sum));
  return normalized;
}

void gaussian_filter(Plane& plane, double sigma, double truncate, Border border) {
  const int n = plane.side, radius = static_cast<int>(truncate * sigma + 0.5);
  const std::vector<float> weights = gaussian_weights(sigma, radius);
  // Row i of the filter says how much of each pixel goes into pixel i. The border is folded in once, so that a
  // filter wider than the picture costs no more than one of the picture's width.
  std::vector<float> fold(std::size_t(n) * std::size_t(n));
  std::vector<int> first(std::size_t(n), n), last(std::size_t(n), 0);
  for (int i = 0; i < n; ++i)
    for (int k = -radius; k <= radius; ++k) {
      const int j = inside(i + k, n, border);
      fold[std::size_t(i) * std::size_t(n) + std::size_t(j)] += weights[std::size_t(k + radius)];
      first[std::size_t(i)] = std::min(first[std::size_t(i)], j);
      last[std::size_t(i)] = std::max(last[std::size_t(i)], j + 1);
    }
  Plane rows(n, plane.channels);
  const auto pass = [&](const Plane& from, Plane& to, bool vertical) {
    for (int i = 0; i < n; ++i)
      for (int other = 0; other < n; ++other)
        for (int c = 0; c < plane.channels; ++c) {
          float sum = 0;
          for (int j = first[std::size_t(i)]; j < last[std::size_t(i)]; ++j)
            sum += fold[std::size_t(i) * std::size_t(n) + std::size_t(j)] *
                   (vertical ? from.at(j, other, c) : from.at(other, j, c));
          (vertical ? to.at(i, other, c) : to.at(other, i, c)) = sum;
        }
  };
  pass(plane, rows, true);
  pass(rows, plane, false);
}

float bilinear(const Plane& plane, double y, double x, int channel, Border border) {
  const double top = std::floor(y), left = std::floor(x);
  const auto fy = static_cast<float>(y - top), fx = static_cast<float>(x - left);
  const int n = plane.side, y0 = static_cast<int>(top), x0 = static_cast<int>(left);
  const auto pixel = [&](int yy, int xx) {
    return plane.at(inside(yy, n, border), inside(xx, n, border), channel);
  };
  const float above = pixel(y0, x0) * (1 - fx) + pixel(y0, x0 + 1) * fx;
  const float below = pixel(y0 + 1, x0) * (1 - fx) + pixel(y0 + 1, x0 + 1) * fx;
  return above * (1 - fy) + below * fy;
}

Plane zoomed_middle(const Plane& plane, double factor) {
  const int n = plane.side, part = static_cast<int>(std::ceil(n / factor)), top = (n - part) / 2;
  const int enlarged = static_cast<int>(std::nearbyint(part * factor)), trim = (enlarged - n) / 2;
  // The corners of the cut-out part become the corners of the enlarged picture.
  const double step = enlarged > 1 ? static_cast<double>(part - 1) / (enlarged - 1) : 0;
  Plane result(n, plane.channels);
  for (int y = 0; y < n; ++y)
    for (int x = 0; x < n; ++x)
      for (int c = 0; c < plane.channels; ++c)
        result.at(y, x, c) = bilinear(plane, top + std::min((y + trim) * step, part - 1.0),
                                      top + std::min((x + trim) * step, part - 1.0), c, Border::nearest);
  return result;
}

void motion_blur(Plane& plane, double radius, double sigma, double degrees) {
  const int width = static_cast<int>(2 * std::ceil(radius) + 1), n = plane.side;
  std::vector<double> weights;
  double sum = 0;
  for (int i = 0; i < width; ++i) {
    weights.push_back(std::exp(-0.5 * i * i / (sigma * sigma)));
    sum += weights.back();
  }
  const double angle = degrees * std::numbers::pi / 180;
  Plane result(n, plane.channels);
  for (int i = 0; i < width; ++i) {
    const int dx = static_cast<int>(std::ceil(i * std::cos(angle) - 0.5)),
              dy = static_cast<int>(std::ceil(i * std::sin(angle) - 0.5));
    const auto weight = static_cast<float>(weights[std::size_t(i)] / sum);
    for (int y = 0; y < n; ++y)
      for (int x = 0; x < n; ++x)
        for (int c = 0; c < plane.channels; ++c)
          result.at(y, x, c) +=
              weight * plane.at(inside(y + dy, n, Border::nearest), inside(x + dx, n, Border::nearest), c);
  }
  plane = std::move(result);
}

void through_jpeg(std::span<std::uint8_t> pixels, int side, int quality) {
  Image image(side, side);
  std::copy(pixels.begin(), pixels.end(), image.pixels.begin());
  const Decoded decoded = decode_image(encode_jpeg(image, quality));
  check(decoded.outcome == Outcome::ok && decoded.image.pixels.size() == pixels.size(), ExitCode::internal,
        "a JPEG that was just written cannot be read: {}", decoded.reason);
  std::copy(decoded.image.pixels.begin(), decoded.image.pixels.end(), pixels.begin());
}

namespace {

// One axis of Pillow's resize with its box filter: the rounded mean of the pixels whose centres lie in the box.
std::vector<std::pair<int, int>> box_taps(int in, int out) {
  const double scale = static_cast<double>(in) / out, support = 0.5 * std::max(scale, 1.0);
  std::vector<std::pair<int, int>> taps;
  for (int i = 0; i < out; ++i) {
    const double middle = (i + 0.5) * scale;
    int first = std::max(0, static_cast<int>(middle - support + 0.5)),
        last = std::min(in, static_cast<int>(middle + support + 0.5));
    const auto covered = [&](int j) {
      const double place = (j + 0.5 - middle) / std::max(scale, 1.0);
      return place > -0.5 && place <= 0.5;
    };
    while (last - first > 1 && !covered(first)) ++first;
    while (last - first > 1 && !covered(last - 1)) --last;
    taps.emplace_back(first, last);
  }
  return taps;
}

// [rows, in, 3] -> [rows, out, 3]
std::vector<std::uint8_t> box_resized(const std::vector<std::uint8_t>& pixels, int rows, int in, int out) {
  const auto taps = box_taps(in, out);
  std::vector<std::uint8_t> result(std::size_t(rows) * std::size_t(out) * 3);
  for (int y = 0; y < rows; ++y)
    for (int x = 0; x < out; ++x)
      for (int c = 0; c < 3; ++c) {
        const auto [first, last] = taps[std::size_t(x)];
        int sum = 0;
        for (int j = first; j < last; ++j)
          sum += pixels[(std::size_t(y) * std::size_t(in) + std::size_t(j)) * 3 + std::size_t(c)];
        const int count = last - first;
        result[(std::size_t(y) * std::size_t(out) + std::size_t(x)) * 3 + std::size_t(c)] =
            static_cast<std::uint8_t>((2 * sum + count) / (2 * count));
      }
  return result;
}

std::vector<std::uint8_t> transposed(const std::vector<std::uint8_t>& pixels, int rows, int columns) {
  std::vector<std::uint8_t> result(pixels.size());
  for (int y = 0; y < rows; ++y)
    for (int x = 0; x < columns; ++x)
      for (int c = 0; c < 3; ++c)
        result[(std::size_t(x) * std::size_t(rows) + std::size_t(y)) * 3 + std::size_t(c)] =
            pixels[(std::size_t(y) * std::size_t(columns) + std::size_t(x)) * 3 + std::size_t(c)];
  return result;
}

std::vector<std::uint8_t> box_resized_square(const std::vector<std::uint8_t>& pixels, int in, int out) {
  const auto columns = box_resized(pixels, in, in, out);
  return transposed(box_resized(transposed(columns, in, out), out, in, out), out, out);
}

}  // namespace

void pixelate(std::span<std::uint8_t> pixels, int side, double scale) {
  const int small = static_cast<int>(side * scale);
  const auto shrunk = box_resized_square({pixels.begin(), pixels.end()}, side, small);
  const auto result = box_resized_square(shrunk, small, side);
  std::copy(result.begin(), result.end(), pixels.begin());
}

}  // namespace kindred::detail
