// How near images are to each other, as the probabilities that t-SNE draws (van der Maaten and Hinton 2008, "Visualizing data
// using t-SNE").
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kindred {

// A symmetric matrix [rows, rows] of which few entries are not zero, and without a diagonal. They sum to 1.
struct Affinities {
  std::vector<std::int64_t> begin{};  // [rows + 1]: where the entries of a row begin
  std::vector<std::int32_t> other{};  // [entries]: the column, ascending within a row
  std::vector<float> value{};         // [entries]

  std::int64_t rows() const { return static_cast<std::int64_t>(begin.size()) - 1; }
};

// The probabilities exp(-beta d) / sum of one row, whose perplexity, e to their entropy, is the one that is asked for: beta is
// found by bisection, to a relative 1e-6 of the perplexity or better. Where that is impossible, since more distances are equal than
// the perplexity counts, they are as near to it as it goes. squared_distances: one or more, finite.
std::vector<double> row_affinities(std::span<const double> squared_distances, double perplexity);

// neighbours [rows, each]: for each row `each` others, with their squared distances. The affinity of i and j is the mean of those
// that either has for the other, divided by `rows`. The same for any number of threads.
Affinities affinities(std::span<const std::int32_t> neighbours, std::span<const double> squared_distances,
                      std::int64_t each, double perplexity);

}  // namespace kindred
