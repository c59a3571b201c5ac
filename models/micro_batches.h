// Batches larger than memory. The model processes a batch as several micro-batches: first a forward pass for
// each of them. Then the loss of the whole batch gives the gradient of the features, and the model runs forward
// again and backward for each micro-batch. This is gradient caching (Gao et al. 2021, "Scaling Deep Contrastive
// Learning Batch Size under Memory Limited Setup", arXiv 2101.06983). Between the two passes only the features
// are kept, not the activations.
//
// Because of batch norm, a micro-batch alone gives other results than as a part of the batch. There are two
// scopes (BatchNormScope):
//
//   micro   Every micro-batch has its own statistics. Running statistics move once for each batch, by the mean
//           of these statistics.
//   full    Exact. The segments of the encoder (its blocks) run one after the other, each over all
//           micro-batches, so that every norm sees the whole batch, forward and backward
//           (layers/batch_norm/whole_batch.h). The inputs of the segments are kept; everything within them is
//           computed again.
//
// Both work over several processes (layers/batch_norm/shared_statistics.h): `micro` then has the statistics of the
// k-th micro-batches of all processes, `full` those of all batches. The scope SharedStatistics must exist during
// forward() and backward(), and all processes must have the same number of micro-batches.
#pragma once

#include <kindred/layers/batch_norm/batch_norm.h>
#include <kindred/layers/batch_norm/whole_batch.h>
#include <kindred/models/choices.h>
#include <kindred/models/contrastive_model.h>

#include <deque>
#include <vector>

namespace kindred {

// The results of a model for a batch.
struct Embedding {
  Tensor features;  // [n, feature_dim], from the encoder
  Tensor output;    // [n, 128] or logits, from the whole model
};

class MicroBatches {
 public:
  // The model must outlive this object.
  MicroBatches(ContrastiveModel& model, BatchNormScope scope, int count);

  // images [n, h, w, 3], where n is a multiple of `count`. Records nothing on the tape. In scope
  // `full` it also moves the running statistics, with `momentum`; in scope `micro` backward() moves them. With `keep` it keeps
  // what backward() needs.
  Embedding forward(const Tensor& images, double momentum = batch_norm_momentum, bool keep = true);
  // Adds the gradients of the parameters, computed from the gradient of the output, to their present values. To
  // be called after forward() with `keep`.
  void backward(const Tensor& d_output);

  // The images of each micro-batch: the rows that a norm in scope `micro`, or a visitor of forward passes, sees
  // at once.
  std::vector<Tensor> cut(const Tensor& images) const;

 private:
  Tensor run(std::size_t segment, const Tensor& x, Mode mode) const;
  std::size_t first_trained() const;  // the first segment that is not frozen: the gradient ends there
  void forward_segment(std::size_t segment, const std::vector<Tensor>& x, Mode mode, std::vector<Tensor>& y);
  void learn_gradients_of_norms(std::size_t segment, const std::vector<Tensor>& d_y);

  ContrastiveModel& model_;
  const BatchNormScope scope_;
  const int count_;
  // State of the current batch:
  std::vector<std::vector<Tensor>> inputs_;  // full: [segment][micro-batch]; micro: images, [0][micro-batch]
  std::deque<WholeBatchNorms> norms_;        // full: one for each segment
};

}  // namespace kindred
