#include <kindred/apps/analysis/map/repulsion.h>
#include <kindred/engine/cpu/parallel.h>

#include <cstddef>

namespace kindred {

void exact_repulsion(std::span<const double> places, Repulsion& result) {
  const auto points = static_cast<std::int64_t>(places.size() / 2);
  result.force.resize(places.size());
  std::vector<double> sums(static_cast<std::size_t>(points));
  parallel_for(points, 8, [&](std::int64_t begin, std::int64_t end) {
    constexpr std::size_t lanes = 8;  // partial sums that the compiler keeps in vectors
    for (std::int64_t p = begin; p < end; ++p) {
      const auto i = static_cast<std::size_t>(p);
      const double x = places[2 * i], y = places[2 * i + 1];
      double sum[lanes] = {}, force_x[lanes] = {}, force_y[lanes] = {};
      const auto add = [&](std::size_t j, std::size_t lane) {
        const double dx = x - places[2 * j], dy = y - places[2 * j + 1];
        const double q = 1 / (1 + dx * dx + dy * dy);
        sum[lane] += q;
        force_x[lane] += q * q * dx;
        force_y[lane] += q * q * dy;
      };
      const std::size_t count = places.size() / 2, whole = count - count % lanes;
      for (std::size_t j = 0; j < whole; j += lanes)
        for (std::size_t lane = 0; lane < lanes; ++lane) add(j + lane, lane);
      for (std::size_t j = whole; j < count; ++j) add(j, j - whole);
      double sums_of[3] = {};
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        sums_of[0] += sum[lane];
        sums_of[1] += force_x[lane];
        sums_of[2] += force_y[lane];
      }
      sums[i] = sums_of[0] - 1;  // without the point itself
      result.force[2 * i] = sums_of[1];
      result.force[2 * i + 1] = sums_of[2];
    }
  });
  result.normalizer = 0;
  for (const double sum : sums) result.normalizer += sum;
}

}  // namespace kindred
