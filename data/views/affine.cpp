#include <kindred/data/views/affine.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

namespace kindred {
namespace {

// Pillow finds nearest pixels in 16.16 fixed point. Its rounding decides which neighbour is taken.
std::int64_t fixed(double value) {
  return static_cast<std::int64_t>(std::floor(value * 65536.0 + 0.5));
}

void warp_nearest(const Planes& in, const AffineMap& map, std::uint8_t fill, Planes& out) {
  const std::int64_t size = in.size;
  const std::int64_t xx = fixed(map.xx), xy = fixed(map.xy), yx = fixed(map.yx), yy = fixed(map.yy);
  const std::int64_t x0 = fixed(map.x0 + map.xx * 0.5 + map.xy * 0.5);
  const std::int64_t y0 = fixed(map.y0 + map.yx * 0.5 + map.yy * 0.5);
  std::uint8_t *red = out.plane(0), *green = out.plane(1), *blue = out.plane(2);
  for (std::int64_t row = 0; row < size; ++row) {
    std::int64_t x = x0 + row * xy, y = y0 + row * yy;
    for (std::int64_t column = 0; column < size; ++column, x += xx, y += yx) {
      const std::int64_t from_x = x >> 16, from_y = y >> 16;
      const std::size_t to = std::size_t(row * size + column);
      if (from_x < 0 || from_x >= size || from_y < 0 || from_y >= size) {
        red[to] = green[to] = blue[to] = fill;
      } else {
        const std::size_t from = std::size_t(from_y * size + from_x);
        red[to] = in.plane(0)[from];
        green[to] = in.plane(1)[from];
        blue[to] = in.plane(2)[from];
      }
    }
  }
}

void warp_bilinear(const Planes& in, const AffineMap& map, std::uint8_t fill, Planes& out) {
  const int size = in.size;
  for (int row = 0; row < size; ++row) {
    for (int column = 0; column < size; ++column) {
      const double centre_x = column + 0.5, centre_y = row + 0.5;
      const double x = map.xx * centre_x + map.xy * centre_y + map.x0;
      const double y = map.yx * centre_x + map.yy * centre_y + map.y0;
      const std::size_t to = std::size_t(row) * std::size_t(size) + std::size_t(column);
      if (!(x >= 0 && x < size && y >= 0 && y < size)) {
        for (int channel = 0; channel < 3; ++channel) out.plane(channel)[to] = fill;
        continue;
      }
      const double left = std::floor(x - 0.5), top = std::floor(y - 0.5);
      const double dx = x - 0.5 - left, dy = y - 0.5 - top;
      const auto inside = [&](double at) { return std::size_t(std::clamp(static_cast<int>(at), 0, size - 1)); };
      const std::size_t upper = inside(top) * std::size_t(size), lower = inside(top + 1) * std::size_t(size);
      const std::size_t first = inside(left), second = inside(left + 1);
      for (int channel = 0; channel < 3; ++channel) {
        const std::uint8_t* plane = in.plane(channel);
        const double above = plane[upper + first] + (plane[upper + second] - plane[upper + first]) * dx;
        const double below = plane[lower + first] + (plane[lower + second] - plane[lower + first]) * dx;
        out.plane(channel)[to] = static_cast<std::uint8_t>(static_cast<int>(above + (below - above) * dy));
      }
    }
  }
}

}  // namespace

AffineMap shear_x_map(double shear) {
  AffineMap map;
  map.xy = shear;
  return map;
}

AffineMap shear_y_map(double shear) {
  AffineMap map;
  map.yx = shear;
  return map;
}

AffineMap translation_map(int right, int down) {
  AffineMap map;
  map.x0 = -right;
  map.y0 = -down;
  return map;
}

AffineMap rotation_map(double degrees, int size) {
  // Pillow rounds to 15 digits, so that quarter turns are exact.
  const auto rounded = [](double value) { return std::nearbyint(value * 1e15) / 1e15; };
  const double angle = -degrees * (std::numbers::pi / 180), centre = size / 2.0;
  AffineMap map;
  map.xx = map.yy = rounded(std::cos(angle));
  map.xy = rounded(std::sin(angle));
  map.yx = -map.xy;
  map.x0 = centre - (map.xx * centre + map.xy * centre);
  map.y0 = centre - (map.yx * centre + map.yy * centre);
  return map;
}

void warp(Planes& view, const AffineMap& map, Interpolation interpolation, std::uint8_t fill, Planes& before) {
  std::swap(view, before);
  view.resize(before.size);
  if (interpolation == Interpolation::nearest)
    warp_nearest(before, map, fill, view);
  else
    warp_bilinear(before, map, fill, view);
}

void cut_out(Planes& view, int row, int column, int side, std::uint8_t fill) {
  const auto inside = [&](std::int64_t at) { return std::clamp<std::int64_t>(at, 0, view.size); };
  const std::int64_t top = row - side / 2, left = column - side / 2;
  const std::int64_t first = inside(left), width = inside(left + side) - first;
  if (width <= 0) return;
  for (int channel = 0; channel < 3; ++channel)
    for (std::int64_t y = inside(top); y < inside(top + side); ++y)
      std::memset(view.plane(channel) + y * view.size + first, fill, std::size_t(width));
}

}  // namespace kindred
