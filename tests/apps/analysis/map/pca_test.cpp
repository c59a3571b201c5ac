// Principal components against Jacobi's method in plain double loops.
#include "clusters.h"

#include <doctest/doctest.h>
#include <kindred/apps/analysis/map/eigenvectors.h>
#include <kindred/apps/analysis/map/pca.h>

#include <cmath>
#include <cstddef>

namespace kindred {
namespace {

using Square = std::vector<std::vector<double>>;

struct PlainPairs {
  std::vector<double> values;
  Square vectors;  // rows, in the order of the values, the largest first
};

PlainPairs plain_jacobi(Square a) {
  const std::size_t n = a.size();
  Square v(n, std::vector<double>(n));
  for (std::size_t i = 0; i < n; ++i) v[i][i] = 1;
  for (int sweep = 0; sweep < 12; ++sweep)
    for (std::size_t p = 0; p < n; ++p)
      for (std::size_t q = p + 1; q < n; ++q) {
        const double angle = 0.5 * std::atan2(2 * a[p][q], a[q][q] - a[p][p]), c = std::cos(angle),
                     s = std::sin(angle);
        for (std::size_t i = 0; i < n; ++i) {
          const double ip = a[i][p], iq = a[i][q];
          a[i][p] = c * ip - s * iq;
          a[i][q] = s * ip + c * iq;
        }
        for (std::size_t i = 0; i < n; ++i) {
          const double pi = a[p][i], qi = a[q][i], vp = v[p][i], vq = v[q][i];
          a[p][i] = c * pi - s * qi;
          a[q][i] = s * pi + c * qi;
          v[p][i] = c * vp - s * vq;
          v[q][i] = s * vp + c * vq;
        }
      }
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return a[i][i] > a[j][j]; });
  PlainPairs pairs;
  for (const std::size_t i : order) {
    pairs.values.push_back(a[i][i]);
    pairs.vectors.push_back(v[i]);
  }
  return pairs;
}

// Rows around a mean far from 0, in directions whose deviations fall by a tenth each.
std::vector<float> draw_rows(std::int64_t rows, std::int64_t dim) {
  RandomStream random(3, Purpose::test);
  std::vector<double> mixing;
  for (std::int64_t i = 0; i < dim * dim; ++i) mixing.push_back(random.normal());
  std::vector<float> result;
  for (std::int64_t r = 0; r < rows; ++r) {
    std::vector<double> row(static_cast<std::size_t>(dim), 5.0);
    for (std::int64_t k = 0; k < dim; ++k) {
      const double z = std::pow(0.9, static_cast<double>(k)) * random.normal();
      for (std::int64_t d = 0; d < dim; ++d)
        row[static_cast<std::size_t>(d)] += z * mixing[static_cast<std::size_t>(k * dim + d)];
    }
    result.insert(result.end(), row.begin(), row.end());
  }
  return result;
}

Square plain_products(const std::vector<float>& rows, std::size_t dim, bool centred,
                      std::vector<double>& mean) {
  const std::size_t n = rows.size() / dim;
  mean.assign(dim, 0);
  if (centred)
    for (std::size_t i = 0; i < rows.size(); ++i) mean[i % dim] += rows[i] / static_cast<double>(n);
  Square sums(dim, std::vector<double>(dim));
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t i = 0; i < dim; ++i)
      for (std::size_t j = 0; j < dim; ++j)
        sums[i][j] += (rows[r * dim + i] - mean[i]) * (rows[r * dim + j] - mean[j]);
  return sums;
}

void check_components(std::size_t dim, Centre centre) {
  constexpr std::size_t rows = 400, count = 4;
  CAPTURE(dim);
  const std::vector<float> table = draw_rows(rows, static_cast<std::int64_t>(dim));
  const PrincipalComponents found = principal_components(table, static_cast<std::int64_t>(dim), count, centre);
  std::vector<double> mean;
  const PlainPairs expected = plain_jacobi(plain_products(table, dim, centre == Centre::mean, mean));
  const double whole = std::accumulate(expected.values.begin(), expected.values.end(), 0.0);
  const std::vector<float> coordinates = found.of(table);
  REQUIRE(coordinates.size() == rows * count);
  for (std::size_t k = 0; k < count; ++k) {
    CAPTURE(k);
    CHECK(found.shares[k] == doctest::Approx(expected.values[k] / whole).epsilon(1e-5));
    double cosine = 0;
    std::size_t farthest = 0;
    for (std::size_t d = 0; d < dim; ++d) {
      cosine += found.axes[k * dim + d] * expected.vectors[k][d];
      if (std::abs(found.axes[k * dim + d]) > std::abs(found.axes[k * dim + farthest])) farthest = d;
    }
    CHECK(std::abs(cosine) == doctest::Approx(1).epsilon(1e-6));
    CHECK(found.axes[k * dim + farthest] > 0);
    for (std::size_t r = 0; r < rows; r += 37) {
      double along = 0;
      for (std::size_t d = 0; d < dim; ++d) along += (table[r * dim + d] - mean[d]) * found.axes[k * dim + d];
      CHECK(coordinates[r * count + k] == doctest::Approx(along).epsilon(1e-3));
    }
  }
}

TEST_CASE("principal components are those of Jacobi's method, by rotations and by iteration") {
  for (const std::size_t dim : {7u, 110u})
    for (const Centre centre : {Centre::mean, Centre::origin}) check_components(dim, centre);
}

TEST_CASE("eigenvectors of equal eigenvalues are orthonormal, and a matrix of zeros has some") {
  for (const std::int64_t dim : {20, 150})
    for (const double scale : {0.0, 2.0}) {
      std::vector<double> matrix(static_cast<std::size_t>(dim * dim));
      for (std::int64_t i = 0; i < 8; ++i)
        matrix[static_cast<std::size_t>(i * dim + i)] = scale;  // the others are 0
      const Eigenpairs pairs = leading_eigenpairs(matrix, dim, 10);
      REQUIRE(pairs.values.size() == 10);
      for (std::size_t i = 0; i < 10; ++i) {
        CHECK(pairs.values[i] == doctest::Approx(i < 8 ? scale : 0).epsilon(1e-9));
        for (std::size_t j = 0; j <= i; ++j) {
          double product = 0;
          for (std::int64_t d = 0; d < dim; ++d)
            product += pairs.vectors[i * static_cast<std::size_t>(dim) + static_cast<std::size_t>(d)] *
                       pairs.vectors[j * static_cast<std::size_t>(dim) + static_cast<std::size_t>(d)];
          CHECK(product == doctest::Approx(i == j ? 1 : 0).epsilon(1e-9));
        }
      }
    }
}

TEST_CASE("principal components do not depend on the number of threads") {
  const test::KeepThreads keep;
  const std::vector<float> table = draw_rows(1500, 130);
  std::vector<float> axes, coordinates;
  for (const int threads : {1, 2, 3}) {
    set_compute_threads(threads);
    const PrincipalComponents found = principal_components(table, 130, 6);
    const std::vector<float> along = found.of(table);
    if (threads == 1) {
      axes = found.axes;
      coordinates = along;
    }
    CHECK(found.axes == axes);
    CHECK(along == coordinates);
  }
  // So few rows and columns that there would be nothing to share.
  const std::vector<float> small = draw_rows(3, 5);
  set_compute_threads(1);
  const PrincipalComponents one = principal_components(small, 5, 2);
  set_compute_threads(2);
  CHECK(principal_components(small, 5, 2).axes == one.axes);
}

}  // namespace
}  // namespace kindred
