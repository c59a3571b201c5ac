// A memory of past features with their labels, first in, first out: more contrasts for the loss than a batch
// has (He et al. 2020, arXiv 1911.05722; Wang et al. 2020, "Cross-Batch Memory", arXiv 1912.06798).
#pragma once

#include <kindred/engine/tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace kindred {

class FeatureQueue {
 public:
  // Full from the start, as in MoCo: random unit rows of no class (label -1), which are negatives of every
  // anchor until features of batches have taken their places.
  FeatureQueue(std::int64_t rows, std::int64_t dim, std::uint64_t seed, Device device);

  const Tensor& features() const { return features_; }  // f32 [rows, dim], the newest first
  const Tensor& labels() const { return labels_; }      // i32 [rows]

  // features [n, dim], labels i32 [n], n <= rows: takes a copy; the n oldest rows go. The tensors keep their
  // addresses, so that a recorded step can do it.
  void push(const Tensor& features, const Tensor& labels);

  // What a checkpoint must hold: "queue.features", "queue.labels". The live tensors.
  std::vector<std::pair<std::string, Tensor>> state() const;

 private:
  Tensor features_, labels_;
};

}  // namespace kindred
