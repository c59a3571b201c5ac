// Defocus, glass, motion and zoom blur.
#include <kindred/data/corruption/corruption_parts.h>

#include <algorithm>
#include <cmath>

namespace kindred::detail {
namespace {

struct Defocus {
  int radius;
  double antialias;  // sigma of the blur at the edge of the disk
};
constexpr std::array<Defocus, 5> defocus{{{3, 0.1}, {4, 0.5}, {6, 0.5}, {8, 0.5}, {10, 0.5}}};

struct Glass {
  double sigma;
  int distance, rounds;
};
constexpr std::array<Glass, 5> glass{{{0.7, 1, 2}, {0.9, 2, 1}, {1.0, 2, 3}, {1.1, 3, 2}, {1.5, 4, 2}}};
constexpr double glass_truncate = 4.0;  // scikit-image's gaussian

struct Motion {
  double radius, sigma;
};
constexpr std::array<Motion, 5> motion{{{10, 3}, {15, 5}, {15, 8}, {15, 12}, {20, 15}}};

struct Zooms {
  int count;  // factors 1, 1 + step, ...; numpy.arange(1, 1.11, 0.01) has twelve
  double step;
};
constexpr std::array<Zooms, 5> zooms{{{12, 0.01}, {16, 0.01}, {11, 0.02}, {13, 0.02}, {11, 0.03}}};

// A disk with a slightly blurred edge: [side, side], with the sum 1 (except for what the border reflects).
Plane disk(const Defocus& how) {
  const int reach = std::max(8, how.radius);
  Plane kernel(2 * reach + 1, 1);
  float sum = 0;
  for (int y = -reach; y <= reach; ++y)
    for (int x = -reach; x <= reach; ++x) {
      const float in = x * x + y * y <= how.radius * how.radius ? 1.0f : 0.0f;
      kernel.at(y + reach, x + reach) = in;
      sum += in;
    }
  for (float& value : kernel.values) value /= sum;
  const int radius = how.radius <= 8 ? 1 : 2;
  gaussian_filter(kernel, how.antialias, (radius + 0.25) / how.antialias, Border::reflect_101);
  return kernel;
}

void defocus_blur(Plane& plane, const Defocus& how) {
  const Plane kernel = disk(how);
  const int reach = kernel.side / 2, n = plane.side;
  Plane result(n, 3);
  for (int dy = -reach; dy <= reach; ++dy)
    for (int dx = -reach; dx <= reach; ++dx) {
      const float weight = kernel.at(dy + reach, dx + reach);
      if (weight == 0) continue;
      for (int y = 0; y < n; ++y)
        for (int x = 0; x < n; ++x)
          for (int c = 0; c < 3; ++c)
            result.at(y, x, c) += weight * plane.at(inside(y + dy, n, Border::reflect_101),
                                                    inside(x + dx, n, Border::reflect_101), c);
    }
  plane = std::move(result);
}

void glass_blur(Plane& plane, const Glass& how, RandomStream& random) {
  gaussian_filter(plane, how.sigma, glass_truncate, Border::nearest);
  quantize(plane);
  const auto offset = [&] {
    return static_cast<int>(random.below(static_cast<std::uint32_t>(2 * how.distance))) - how.distance;
  };
  const int last = plane.side - how.distance;
  for (int round = 0; round < how.rounds; ++round)
    for (int y = last; y > how.distance; --y)
      for (int x = last; x > how.distance; --x) {
        const int dx = offset(), dy = offset();
        // The authors swap two NumPy views, which in effect copies one pixel onto the other. The published
        // images were made this way, so this code does the same.
        for (int c = 0; c < 3; ++c) plane.at(y, x, c) = plane.at(y + dy, x + dx, c);
      }
  gaussian_filter(plane, how.sigma, glass_truncate, Border::nearest);
}

void zoom_blur(Plane& plane, const Zooms& how) {
  Plane sum = plane;
  for (int i = 0; i < how.count; ++i) {
    const Plane zoomed = zoomed_middle(plane, 1 + i * how.step);
    for (std::size_t k = 0; k < sum.values.size(); ++k) sum.values[k] += zoomed.values[k];
  }
  for (float& value : sum.values) value /= static_cast<float>(how.count + 1);
  plane = std::move(sum);
}

}  // namespace

void blur(Plane& plane, Corruption which, int severity, RandomStream& random) {
  const auto s = static_cast<std::size_t>(severity);
  if (which == Corruption::defocus_blur)
    defocus_blur(plane, defocus[s]);
  else if (which == Corruption::glass_blur)
    glass_blur(plane, glass[s], random);
  else if (which == Corruption::motion_blur)
    motion_blur(plane, motion[s].radius, motion[s].sigma, random.uniform(-45.0f, 45.0f));
  else
    zoom_blur(plane, zooms[s]);
}

}  // namespace kindred::detail
