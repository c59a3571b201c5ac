// The accuracy of a nearest-neighbour classifier on features. It shows how good an encoder is before any
// classifier is trained.
//
// For each query, its k nearest training features by cosine similarity vote, weighted by exp(cosine / 0.07) (Wu
// et al. 2018, arXiv 1805.01978).
#pragma once

#include <kindred/engine/communicator/communicator.h>

#include <cstdint>
#include <vector>

namespace kindred {

struct FeatureTable {
  std::int64_t dim = 0;
  std::vector<float> features;       // [rows, dim]
  std::vector<std::int32_t> labels;  // [rows]
  std::int64_t rows() const { return static_cast<std::int64_t>(labels.size()); }
};

// Top-1 accuracy of `queries` against `bank`, 0 to 1. Neither may be empty. The processes, which must all make this call with
// the same tables, share the queries; the result is the same in each of them, and the same as with one process.
double nearest_neighbour_accuracy(const FeatureTable& bank, const FeatureTable& queries, std::int64_t classes,
                                  std::int64_t neighbours = 20, const Communicator& processes = world());

}  // namespace kindred
