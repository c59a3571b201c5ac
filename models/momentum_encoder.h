// A slowly moving copy of the model. Its features change so little from step to step that features of past
// batches can be compared with new ones: He et al. 2020, "Momentum Contrast for Unsupervised Visual
// Representation Learning" (arXiv 1911.05722), equation 2.
#pragma once

#include <kindred/models/contrastive_model.h>

#include <string>
#include <utility>
#include <vector>

namespace kindred {

class MomentumEncoder {
 public:
  // `model` must be allocated already. The copy starts with its values.
  MomentumEncoder(const ContrastiveModel& model, HeadKind head, DType compute, double momentum);

  void copy_from(const ContrastiveModel& model);
  // Updates the parameters: copy = momentum * copy + (1 - momentum) * model.
  void follow(const ContrastiveModel& model);

  ContrastiveModel& copy() { return copy_; }

  // What a checkpoint must hold: "momentum_encoder.<name>". The tensors are windows on the live state.
  std::vector<std::pair<std::string, Tensor>> state() const;

 private:
  ContrastiveModel copy_;
  double momentum_;
};

}  // namespace kindred
