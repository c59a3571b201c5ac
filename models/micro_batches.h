// Batches larger than memory. The model processes a batch in pieces: first a forward pass for all of them. Once
// the loss of the whole batch has given the gradient of its features, it runs forward again and backward for
// each piece. This is gradient caching (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under
// Memory Limited Setup", arXiv 2101.06983). Between the two passes only the features of the batch are kept, not
// its activations.
//
// Because of batch norm, a piece behaves differently from a part of the batch. There are two scopes:
//
//   micro   Every piece has its own statistics. Running statistics move once for each batch, by the mean of the
//           pieces' statistics.
//   full    Exact. The segments of the encoder (its blocks) run one after the other, each over all pieces, so
//           that every norm sees the whole batch, forward and backward (layers/batch_norm/pieces.h). The inputs
//           of the segments are kept; everything within them is computed again.
#pragma once

#include <kindred/layers/batch_norm/pieces.h>
#include <kindred/models/contrastive_model.h>

#include <deque>
#include <vector>

namespace kindred {

enum class BatchNormScope : std::uint8_t { micro, full };

const char* name(BatchNormScope scope);
BatchNormScope parse_batch_norm_scope(const std::string& text);  // throws Error(usage) for any other text

// The results of a model for a batch.
struct Embedding {
  Tensor features;  // [n, feature_dim], from the encoder
  Tensor output;    // [n, 128] or logits, from the whole model
};

class MicroBatches {
 public:
  // The model must outlive this object.
  MicroBatches(ContrastiveModel& model, BatchNormScope scope, int pieces);

  // images [n, h, w, 3], where n is a multiple of the number of pieces. Records nothing. With `keep` it keeps
  // what backward() needs.
  Embedding forward(const Tensor& images, bool keep = true);
  // Adds the gradients of the parameters, computed from the gradient of the output, to their present values. To
  // be called after forward() with `keep`.
  void backward(const Tensor& d_output);

  // The images of each piece: the rows that a norm in scope `micro`, or a visitor of forward passes, sees at
  // once.
  std::vector<Tensor> cut(const Tensor& images) const;

 private:
  Tensor run(std::size_t segment, const Tensor& x) const;
  void forward_segment(std::size_t segment, const std::vector<Tensor>& x, std::vector<Tensor>& y);
  void learn_gradients_of_norms(std::size_t segment, const std::vector<Tensor>& d_y);

  ContrastiveModel& model_;
  const BatchNormScope scope_;
  const int pieces_;
  // State of the current batch:
  std::vector<std::vector<Tensor>> inputs_;  // full: [segment][piece]. micro: [0][piece], the images
  std::deque<WholeBatchNorms> norms_;        // full: one for each segment
};

}  // namespace kindred
