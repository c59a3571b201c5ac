// The largest eigenvalues of a symmetric matrix without negative ones, such as a covariance, with their eigenvectors.
#pragma once

#include <cstdint>
#include <vector>

namespace kindred {

struct Eigenpairs {
  std::vector<double> values{};   // [count], the largest first
  std::vector<double> vectors{};  // [count, dim], orthonormal rows
};

// matrix [dim, dim]; 1 <= count <= dim. The same numbers for any number of threads.
//
// Small matrices: Jacobi's rotations. Larger ones: subspace iteration with a Chebyshev filter (Zhou, Saad, Tiago and
// Chelikowsky 2006), from vectors that are the same each time. Where eigenvalues beyond `count` are nearly as large as those
// within, vectors of them may be mixed; the variance that the subspace holds is then the same.
Eigenpairs leading_eigenpairs(const std::vector<double>& matrix, std::int64_t dim, std::int64_t count);

}  // namespace kindred
