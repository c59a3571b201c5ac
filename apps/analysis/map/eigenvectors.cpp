#include <kindred/apps/analysis/map/eigenvectors.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/random/philox.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>

namespace kindred {
namespace {

using SquareMatrix = std::vector<double>;  // row-major

constexpr int jacobi_sweeps = 60, filter_rounds = 200, filter_degrees = 10;
constexpr std::int64_t all_jacobi_dim = 96;

double dot(const double* a, const double* b, std::int64_t count) {
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

double off_diagonal(const SquareMatrix& a, std::int64_t dim) {
  double sum = 0;
  for (std::int64_t i = 0; i < dim; ++i)
    for (std::int64_t j = 0; j < i; ++j)
      sum += a[static_cast<std::size_t>(i * dim + j)] * a[static_cast<std::size_t>(i * dim + j)];
  return sum;
}

// The rotation of rows and columns p and q that makes a[p, q] zero.
void rotate(SquareMatrix& a, SquareMatrix& vectors, std::int64_t dim, std::int64_t p, std::int64_t q) {
  double* const m = a.data();
  const double pq = m[p * dim + q];
  if (pq == 0) return;
  const double theta = (m[q * dim + q] - m[p * dim + p]) / (2 * pq);
  const double t = (theta >= 0 ? 1.0 : -1.0) / (std::abs(theta) + std::hypot(theta, 1.0));
  const double c = 1 / std::hypot(t, 1.0), s = t * c;
  for (std::int64_t i = 0; i < dim; ++i) {
    const double ip = m[i * dim + p], iq = m[i * dim + q];
    m[i * dim + p] = c * ip - s * iq;
    m[i * dim + q] = s * ip + c * iq;
  }
  const auto turn_rows = [&](double* rows) {
    for (std::int64_t i = 0; i < dim; ++i) {
      const double pi = rows[p * dim + i], qi = rows[q * dim + i];
      rows[p * dim + i] = c * pi - s * qi;
      rows[q * dim + i] = s * pi + c * qi;
    }
  };
  turn_rows(m);
  turn_rows(vectors.data());
}

// All eigenpairs, by cyclic Jacobi rotations.
Eigenpairs jacobi(SquareMatrix a, std::int64_t dim) {
  SquareMatrix vectors(static_cast<std::size_t>(dim * dim));
  double whole = 0;
  for (std::int64_t i = 0; i < dim; ++i) {
    vectors[static_cast<std::size_t>(i * dim + i)] = 1;
    whole += a[static_cast<std::size_t>(i * dim + i)] * a[static_cast<std::size_t>(i * dim + i)];
  }
  whole += 2 * off_diagonal(a, dim);
  for (int sweep = 0; sweep < jacobi_sweeps && off_diagonal(a, dim) > 1e-30 * whole; ++sweep)
    for (std::int64_t p = 0; p < dim; ++p)
      for (std::int64_t q = p + 1; q < dim; ++q) rotate(a, vectors, dim, p, q);
  const auto value = [&](std::int64_t i) { return a[static_cast<std::size_t>(i * dim + i)]; };
  std::vector<std::int64_t> order(static_cast<std::size_t>(dim));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t i, std::int64_t j) { return value(i) > value(j); });
  Eigenpairs all;
  for (const std::int64_t i : order) {
    all.values.push_back(value(i));
    all.vectors.insert(all.vectors.end(), vectors.begin() + i * dim, vectors.begin() + (i + 1) * dim);
  }
  return all;
}

// result [block, dim] = vectors [block, dim] * matrix. Each number is a sum in the order of the indices.
SquareMatrix product(const SquareMatrix& matrix, const SquareMatrix& vectors, std::int64_t dim) {
  constexpr std::int64_t together = 8;
  const std::int64_t block = static_cast<std::int64_t>(vectors.size()) / dim,
                     padded = (block + together - 1) / together * together;
  SquareMatrix columns(static_cast<std::size_t>(dim * padded)), result(vectors.size());
  for (std::int64_t b = 0; b < block; ++b)
    for (std::int64_t j = 0; j < dim; ++j)
      columns[static_cast<std::size_t>(j * padded + b)] = vectors[static_cast<std::size_t>(b * dim + j)];
  parallel_for(dim, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      for (std::int64_t first = 0; first < block; first += together) {
        double sums[together] = {};
        for (std::int64_t j = 0; j < dim; ++j) {
          const double factor = matrix[static_cast<std::size_t>(i * dim + j)];
          const double* const column = &columns[static_cast<std::size_t>(j * padded + first)];
          for (std::int64_t k = 0; k < together; ++k) sums[k] += factor * column[k];
        }
        for (std::int64_t k = 0; k < std::min(together, block - first); ++k)
          result[static_cast<std::size_t>((first + k) * dim + i)] = sums[k];
      }
  });
  return result;
}

void draw_directions(double* row, std::int64_t dim, std::uint32_t number) {
  RandomStream random(0, Purpose::initialize, 0, number);
  for (std::int64_t i = 0; i < dim; ++i) row[i] = random.normal();
}

// Makes the rows orthonormal, in their order. One that depends on those before it is replaced by a new one.
void orthonormalize(SquareMatrix& rows, std::int64_t dim) {
  const std::int64_t block = static_cast<std::int64_t>(rows.size()) / dim;
  std::uint32_t drawn = static_cast<std::uint32_t>(block);
  for (std::int64_t b = 0; b < block; ++b) {
    double* const row = rows.data() + b * dim;
    for (;;) {
      const double before = std::sqrt(dot(row, row, dim));
      for (int twice = 0; twice < 2; ++twice)
        for (std::int64_t other = 0; other < b; ++other) {
          const double* const done = rows.data() + other * dim;
          const double along = dot(row, done, dim);
          for (std::int64_t i = 0; i < dim; ++i) row[i] -= along * done[i];
        }
      const double length = std::sqrt(dot(row, row, dim));
      if (length > 1e-12 * before) {
        for (std::int64_t i = 0; i < dim; ++i) row[i] /= length;
        break;
      }
      draw_directions(row, dim, drawn++);
    }
  }
}

// The eigenpairs of the matrix within the space of the orthonormal rows, which become those eigenvectors (Rayleigh, Ritz).
std::vector<double> ritz(const SquareMatrix& matrix, SquareMatrix& rows, std::int64_t dim) {
  const std::int64_t block = static_cast<std::int64_t>(rows.size()) / dim;
  const SquareMatrix image = product(matrix, rows, dim);
  SquareMatrix small(static_cast<std::size_t>(block * block));
  for (std::int64_t i = 0; i < block; ++i)
    for (std::int64_t j = 0; j <= i; ++j) {
      const double value = dot(rows.data() + i * dim, image.data() + j * dim, dim);
      small[static_cast<std::size_t>(i * block + j)] = small[static_cast<std::size_t>(j * block + i)] = value;
    }
  Eigenpairs within = jacobi(std::move(small), block);
  SquareMatrix turned(rows.size());
  for (std::int64_t i = 0; i < block; ++i)
    for (std::int64_t j = 0; j < block; ++j) {
      const double factor = within.vectors[static_cast<std::size_t>(i * block + j)];
      for (std::int64_t k = 0; k < dim; ++k)
        turned[static_cast<std::size_t>(i * dim + k)] += factor * rows[static_cast<std::size_t>(j * dim + k)];
    }
  rows = std::move(turned);
  return within.values;
}

// A Chebyshev polynomial of the matrix, which stays within 1 for eigenvalues from 0 to `cut` and grows beyond. Its degree is
// chosen so that it grows by at most 1e8: more would drown the smaller vectors in the rounding errors of the largest.
void chebyshev_filter(const SquareMatrix& matrix, SquareMatrix& rows, std::int64_t dim, double cut,
                      double largest) {
  const double half = cut / 2, reach = 2 * (largest - half) / half;
  const int degree =
      reach <= 2.5 ? filter_degrees : std::clamp(static_cast<int>(8 / std::log10(reach)), 1, filter_degrees);
  SquareMatrix before = rows;
  const auto scaled = [&](const SquareMatrix& of) {  // (matrix - half) / half
    SquareMatrix image = product(matrix, of, dim);
    for (std::size_t i = 0; i < image.size(); ++i) image[i] = (image[i] - half * of[i]) / half;
    return image;
  };
  rows = scaled(rows);
  for (int step = 2; step <= degree; ++step) {
    SquareMatrix next = scaled(rows);
    for (std::size_t i = 0; i < next.size(); ++i) next[i] = 2 * next[i] - before[i];
    before = std::exchange(rows, std::move(next));
  }
}

Eigenpairs subspace_iteration(const SquareMatrix& matrix, std::int64_t dim, std::int64_t count,
                              std::int64_t block) {
  SquareMatrix rows(static_cast<std::size_t>(block * dim));
  for (std::int64_t b = 0; b < block; ++b)
    draw_directions(rows.data() + b * dim, dim, static_cast<std::uint32_t>(b));
  orthonormalize(rows, dim);
  std::vector<double> values = ritz(matrix, rows, dim);
  for (int round = 0; round < filter_rounds && values.front() > 0; ++round) {
    chebyshev_filter(matrix, rows, dim, std::max(values.back(), 1e-7 * values.front()), values.front());
    orthonormalize(rows, dim);
    const std::vector<double> before = std::exchange(values, ritz(matrix, rows, dim));
    double change = 0;
    for (std::int64_t i = 0; i < count; ++i)
      change =
          std::max(change, std::abs(values[static_cast<std::size_t>(i)] - before[static_cast<std::size_t>(i)]));
    if (change <= 1e-12 * values.front()) break;
  }
  rows.resize(static_cast<std::size_t>(count * dim));
  values.resize(static_cast<std::size_t>(count));
  return {std::move(values), std::move(rows)};
}

}  // namespace

Eigenpairs leading_eigenpairs(const std::vector<double>& matrix, std::int64_t dim, std::int64_t count) {
  const std::int64_t block = count + std::max<std::int64_t>(8, count / 4);
  if (dim > all_jacobi_dim && 2 * block < dim) return subspace_iteration(matrix, dim, count, block);
  Eigenpairs all = jacobi(matrix, dim);
  all.values.resize(static_cast<std::size_t>(count));
  all.vectors.resize(static_cast<std::size_t>(count * dim));
  return all;
}

}  // namespace kindred
