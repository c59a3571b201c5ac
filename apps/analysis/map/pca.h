// Principal components: the directions in which rows differ most.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kindred {

// What directions are measured from. `mean`: principal component analysis. `origin`: the rows are not centred, so that the
// directions hold most of the rows' length, and angles between rows last (latent semantic analysis does this).
enum class Centre : std::uint8_t { mean, origin };

struct PrincipalComponents {
  std::int64_t dim = 0, count = 0;
  std::vector<float> centre{};  // [dim]: the mean of the rows, or zeros
  std::vector<float> axes{};    // [count, dim]: orthonormal, the direction of the largest variance first
  std::vector<double>
      shares{};  // [count]: of the whole variance, or of the sum of squares about the origin; 0 if that is 0

  // The coordinates of the rows along the axes, [rows, count].
  std::vector<float> of(std::span<const float> rows) const;
};

// rows [n, dim], finite; n >= 1, and 1 <= count <= dim. The sign of an axis: of its entries the one farthest from zero, of
// equal ones the first, is positive. The same numbers for any number of threads.
PrincipalComponents principal_components(std::span<const float> rows, std::int64_t dim, std::int64_t count,
                                         Centre centre = Centre::mean);

}  // namespace kindred
