#include <kindred/apps/analysis/map/repulsion.h>
#include <kindred/engine/cpu/parallel.h>

#include <cstddef>

namespace kindred {

void exact_repulsion(std::span<const double> places, Repulsion& result) {
  const std::size_t points = places.size() / 2;
  result.force.resize(places.size());
  // In f32, of which a vector holds twice as many: each partial sum has a few hundred terms.
  std::vector<float> all_x(points), all_y(points);
  for (std::size_t i = 0; i < points; ++i) {
    all_x[i] = static_cast<float>(places[2 * i]);
    all_y[i] = static_cast<float>(places[2 * i + 1]);
  }
  std::vector<double> sums(points);
  parallel_for(static_cast<std::int64_t>(points), 8, [&](std::int64_t begin, std::int64_t end) {
    constexpr std::size_t lanes = 16;  // partial sums that the compiler keeps in vectors
    for (std::int64_t p = begin; p < end; ++p) {
      const auto i = static_cast<std::size_t>(p);
      const float x = all_x[i], y = all_y[i];
      float sum[lanes] = {}, force_x[lanes] = {}, force_y[lanes] = {};
      const auto add = [&](std::size_t j, std::size_t lane) {
        const float dx = x - all_x[j], dy = y - all_y[j];
        const float q = 1 / (1 + dx * dx + dy * dy);
        sum[lane] += q;
        force_x[lane] += q * q * dx;
        force_y[lane] += q * q * dy;
      };
      const std::size_t whole = points - points % lanes;
      for (std::size_t j = 0; j < whole; j += lanes)
        for (std::size_t lane = 0; lane < lanes; ++lane) add(j + lane, lane);
      for (std::size_t j = whole; j < points; ++j) add(j, j - whole);
      double sums_of[3] = {};
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        sums_of[0] += double{sum[lane]};
        sums_of[1] += double{force_x[lane]};
        sums_of[2] += double{force_y[lane]};
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
