// A first-in, first-out queue of past features with their labels. It gives the loss more contrasts than a batch
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
  // The queue is full from the start, as in MoCo: it holds random unit rows of no class (label -1). They are
  // negatives of every anchor until features of batches have replaced them. `type` is that of the features, f32 or f64.
  FeatureQueue(std::int64_t rows, std::int64_t dim, std::uint64_t seed, Device device, DType type = DType::f32);

  const Tensor& features() const { return features_; }  // [rows, dim], newest first
  const Tensor& labels() const { return labels_; }      // i32 [rows]

  // features [n, dim], labels i32 [n], n <= rows. Copies them into the queue and drops the n oldest rows. The
  // queue's tensors keep their addresses, so a recorded step can push.
  void push(const Tensor& features, const Tensor& labels);

  // What a checkpoint must hold: "queue.features" and "queue.labels". Returns the live tensors.
  std::vector<std::pair<std::string, Tensor>> state() const;

 private:
  Tensor features_, labels_;
};

}  // namespace kindred
