// Batches larger than memory: the model runs over pieces of a batch, forward for all of them and, once the loss
// of the whole batch has given the gradient of its features, forward again and backward for each. This is
// gradient caching (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup",
// arXiv 2101.06983). What is kept of a batch between the two is its features, not its activations.
//
// Batch norm is what makes a piece different from a part of the batch:
//
//   micro   every piece has statistics of its own. Running statistics move once for a batch, by the mean of
//           the pieces' statistics.
//   full    exact. The segments of the encoder (its blocks) run one after the other, each over all pieces, so
//           that every norm sees the whole batch, forward and backward (layers/batch_norm/pieces.h). The inputs
//           of the segments are kept, what is within them is computed again.
#pragma once

#include <kindred/layers/batch_norm/pieces.h>
#include <kindred/models/contrastive_model.h>

#include <deque>
#include <vector>

namespace kindred {

enum class BatchNormScope : std::uint8_t { micro, full };

const char* name(BatchNormScope scope);
BatchNormScope parse_batch_norm_scope(const std::string& text);  // Error(usage) for anything else

// What a model makes of a batch.
struct Embedding {
  Tensor features;  // [n, feature_dim], of the encoder
  Tensor output;    // [n, 128] or logits, of the whole model
};

class MicroBatches {
 public:
  // The model outlives this.
  MicroBatches(ContrastiveModel& model, BatchNormScope scope, int pieces);

  // images [n, h, w, 3], n a multiple of the pieces. Records nothing. `keep`: what backward() needs.
  Embedding forward(const Tensor& images, bool keep = true);
  // Adds the gradients of the parameters to what they hold, from that of the output; after a forward() that
  // kept.
  void backward(const Tensor& d_output);

  // images' rows of one piece: what a norm in `micro`, and a visitor of forward passes, sees at once.
  std::vector<Tensor> cut(const Tensor& images) const;

 private:
  Tensor run(std::size_t segment, const Tensor& x) const;
  void forward_segment(std::size_t segment, const std::vector<Tensor>& x, std::vector<Tensor>& y);
  void learn_gradients_of_norms(std::size_t segment, const std::vector<Tensor>& d_y);

  ContrastiveModel& model_;
  const BatchNormScope scope_;
  const int pieces_;
  // Of a batch that is under way:
  std::vector<std::vector<Tensor>> inputs_;  // full: [segment][piece]. micro: [0][piece], the images
  std::deque<WholeBatchNorms> norms_;        // full: of each segment
};

}  // namespace kindred
