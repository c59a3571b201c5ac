// Contrast and elastic deformation.
#include <kindred/data/corruption/corruption_parts.h>

#include <algorithm>
#include <cmath>

namespace kindred::detail {
namespace {

constexpr std::array<float, 5> contrasts{0.4f, 0.3f, 0.2f, 0.1f, 0.05f};

struct Elastic {
  double amplitude, sigma, affine;  // pixels
};
constexpr double base = 244;  // the authors' mistake; 224 was meant
constexpr std::array<Elastic, 5> elastics{{{base * 2, base * 0.7, base * 0.1},
                                           {base * 2, base * 0.08, base * 0.2},
                                           {base * 0.05, base * 0.01, base * 0.02},
                                           {base * 0.07, base * 0.01, base * 0.02},
                                           {base * 0.12, base * 0.01, base * 0.02}}};
constexpr double elastic_truncate = 3;

void lower_contrast(Plane& plane, float factor) {
  for (int c = 0; c < 3; ++c) {
    double sum = 0;
    for (std::size_t i = static_cast<std::size_t>(c); i < plane.values.size(); i += 3)
      sum += static_cast<double>(plane.values[i]);
    const auto mean = static_cast<float>(3 * sum / static_cast<double>(plane.values.size()));
    for (std::size_t i = static_cast<std::size_t>(c); i < plane.values.size(); i += 3)
      plane.values[i] = (plane.values[i] - mean) * factor + mean;
  }
}

struct Point {
  double x, y;
};

// The affine map that takes to[i] back to from[i]: x = a x' + b y' + c, and the same for y.
struct Affine {
  double ax, bx, cx, ay, by, cy;
};

Affine taking_back(const std::array<Point, 3>& from, const std::array<Point, 3>& to) {
  const double ux = to[1].x - to[0].x, uy = to[1].y - to[0].y, vx = to[2].x - to[0].x, vy = to[2].y - to[0].y;
  const double determinant = ux * vy - uy * vx;
  const auto solve = [&](double f0, double f1, double f2) {
    const double a = ((f1 - f0) * vy - (f2 - f0) * uy) / determinant,
                 b = ((f2 - f0) * ux - (f1 - f0) * vx) / determinant;
    return std::array{a, b, f0 - a * to[0].x - b * to[0].y};
  };
  const auto x = solve(from[0].x, from[1].x, from[2].x), y = solve(from[0].y, from[1].y, from[2].y);
  return {x[0], x[1], x[2], y[0], y[1], y[2]};
}

// A field of random shifts that are similar for neighbouring pixels.
Plane smooth_shifts(int side, const Elastic& how, RandomStream& random) {
  Plane shifts(side, 1);
  for (float& value : shifts.values) value = random.uniform(-1.0f, 1.0f);
  gaussian_filter(shifts, how.sigma, elastic_truncate, Border::reflect);
  for (float& value : shifts.values) value *= static_cast<float>(how.amplitude);
  return shifts;
}

void deform(Plane& plane, const Elastic& how, RandomStream& random) {
  const int n = plane.side;
  // A triangle around the centre whose corners are moved.
  const double middle = n / 2, reach = n / 3;
  const std::array<Point, 3> corners{
      {{middle + reach, middle + reach}, {middle + reach, middle - reach}, {middle - reach, middle - reach}}};
  std::array<Point, 3> moved = corners;
  const auto amount = static_cast<float>(how.affine);
  for (Point& corner : moved) {
    corner.x += random.uniform(-amount, amount);
    corner.y += random.uniform(-amount, amount);
  }
  const Affine back = taking_back(corners, moved);
  Plane warped(n, 3);
  for (int y = 0; y < n; ++y)
    for (int x = 0; x < n; ++x)
      for (int c = 0; c < 3; ++c)
        warped.at(y, x, c) = bilinear(plane, back.ay * x + back.by * y + back.cy,
                                      back.ax * x + back.bx * y + back.cx, c, Border::reflect_101);
  const Plane dx = smooth_shifts(n, how, random), dy = smooth_shifts(n, how, random);
  for (int y = 0; y < n; ++y)
    for (int x = 0; x < n; ++x)
      for (int c = 0; c < 3; ++c)
        plane.at(y, x, c) = bilinear(warped, y + static_cast<double>(dy.at(y, x)),
                                     x + static_cast<double>(dx.at(y, x)), c, Border::reflect);
}

}  // namespace

void transform(Plane& plane, Corruption which, int severity, RandomStream& random) {
  const auto s = static_cast<std::size_t>(severity);
  if (which == Corruption::contrast)
    lower_contrast(plane, contrasts[s]);
  else
    deform(plane, elastics[s], random);
}

}  // namespace kindred::detail
