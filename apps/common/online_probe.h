// A linear classifier that is trained beside the encoder, on features through which no gradient goes back: how
// well classes can be told apart is then known during stage one, and not only after stage two.
#pragma once

#include <kindred/apps/common/nearest_neighbours.h>
#include <kindred/engine/optimizer/optimizer.h>
#include <kindred/layers/batch_norm/batch_norm.h>
#include <kindred/layers/linear/linear.h>

#include <string>
#include <utility>
#include <vector>

namespace kindred {

class OnlineProbe {
 public:
  // Features pass a batch norm first: their scale changes as the encoder learns. `compute` is their type.
  OnlineProbe(std::int64_t feature_dim, int classes, std::uint64_t seed, Device device, DType compute);

  // The learning rate, which follows the encoder's: 0.1 times the share of the peak.
  static double rate(double share_of_peak);
  Optimizer& optimizer() { return *optimizer_; }
  // One step on features [n, dim] and classes i32 [n]. The loss, f32 []. Part of a recorded step.
  Tensor step(const Tensor& features, const Tensor& classes);
  // Top-1 accuracy, 0 to 1, of features as they are without augmentation.
  double accuracy(const FeatureTable& features) const;

  // What a checkpoint must hold: "online_probe.<name>". Windows on the live state.
  std::vector<std::pair<std::string, Tensor>> state() const;
  void refresh();  // after the state was written to

 private:
  Device device_;
  DType compute_;
  ParameterStore store_;
  BatchNorm norm_;
  Linear classifier_;
  std::unique_ptr<Optimizer> optimizer_;
};

}  // namespace kindred
