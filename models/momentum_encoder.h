// A slow copy of the model, whose features change so little from step to step that those of past batches can
// stand beside new ones: He et al. 2020, "Momentum Contrast for Unsupervised Visual Representation Learning"
// (arXiv 1911.05722), equation 2.
#pragma once

#include <kindred/models/contrastive_model.h>

#include <string>
#include <utility>
#include <vector>

namespace kindred {

class MomentumEncoder {
 public:
  // `model` is allocated already. The copy starts as it is.
  MomentumEncoder(const ContrastiveModel& model, HeadKind head, DType compute, double momentum);

  void copy_from(const ContrastiveModel& model);
  // Parameters move: copy = momentum * copy + (1 - momentum) * model.
  void follow(const ContrastiveModel& model);

  ContrastiveModel& copy() { return copy_; }

  // What a checkpoint must hold: "momentum_encoder.<name>". Windows on the live state.
  std::vector<std::pair<std::string, Tensor>> state() const;

 private:
  ContrastiveModel copy_;
  double momentum_;
};

}  // namespace kindred
