// The supervised contrastive loss step by step, with the matrices that the library never builds. explain_loss
// prints them.
#pragma once

#include <kindred/engine/tensor.h>

#include <cstdint>
#include <vector>

namespace kindred {

inline constexpr float explained_temperature = 0.07f;
inline constexpr std::int64_t explained_dim = 4;  // small, so that a feature fits on a line

struct Matrix {
  std::size_t rows, columns;
  std::vector<double> values;
  Matrix(std::size_t row_count, std::size_t column_count)
      : rows(row_count), columns(column_count), values(row_count * column_count) {}
  explicit Matrix(const Tensor& tensor)
      : rows(static_cast<std::size_t>(tensor.dim(0))),
        columns(static_cast<std::size_t>(tensor.dim(1))),
        values(tensor.to_vector<double>()) {}
  double& operator()(std::size_t i, std::size_t j) { return values[i * columns + j]; }
  double operator()(std::size_t i, std::size_t j) const { return values[i * columns + j]; }
};

// The steps of the loss. The anchor itself is at [i, i] and is not part of any sum.
struct Steps {
  std::vector<std::int32_t> groups;  // [M] label, or image index
  Matrix similarities;               // [M, M] z_i . z_j / T
  std::vector<double> maxima;        // [M] over everything but the anchor
  Matrix logits;                     // [M, M] similarities minus the row's maximum
  Matrix log_probabilities;          // [M, M]
  std::vector<double> losses;        // [M]

  bool positive(std::size_t i, std::size_t j) const { return i != j && groups[i] == groups[j]; }
  std::size_t positives(std::size_t i) const {
    std::size_t count = 0;
    for (std::size_t j = 0; j < groups.size(); ++j) count += positive(i, j);
    return count;
  }
};

// Equation 2 of the paper for features [M, D], rows of length 1 on `reference`, at explained_temperature.
// groups is i32 [M]; rows of one group are positives of each other.
Steps compute_steps(const Tensor& features, const Tensor& groups);

// A view's feature: a random direction for its label, plus a smaller one for the image and an even smaller one
// for the view.
// Returns [views * labels, explained_dim], view-major, on `reference`.
Tensor draw_features(const std::vector<int>& labels, int views);

}  // namespace kindred
