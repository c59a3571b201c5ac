// A linear classifier that is trained together with the encoder, on features through which no gradient flows
// back. It shows during stage one, and not only after stage two, how well classes can be told apart.
#pragma once

#include <kindred/apps/evaluation/nearest_neighbours.h>
#include <kindred/engine/communicator/gradient_sums.h>
#include <kindred/engine/optimizer/optimizer.h>
#include <kindred/layers/batch_norm/batch_norm.h>
#include <kindred/layers/linear/linear.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kindred {

class OnlineProbe {
 public:
  // Features first pass a batch norm, because their scale changes while the encoder learns. `compute` is their
  // type. The processes train one probe together; they must outlive this object.
  OnlineProbe(std::int64_t feature_dim, int classes, std::uint64_t seed, Device device, DType compute,
              const Communicator& processes = world());

  // The learning rate, which follows the encoder's: 0.1 times the encoder's fraction of its peak rate.
  static double rate(double share_of_peak);
  Optimizer& optimizer() { return *optimizer_; }
  // One step on this process's features [n, dim] and classes i32 [n]. Returns the loss, f32 [], the mean over the rows
  // of all processes. Its batch norm is over all rows too. Can be part of a recorded step.
  Tensor step(const Tensor& features, const Tensor& classes);
  // Top-1 accuracy, 0 to 1, on features without augmentation.
  double accuracy(const FeatureTable& features) const;

  // What a checkpoint must hold: "online_probe.<name>". The tensors are windows on the live state.
  std::vector<std::pair<std::string, Tensor>> state() const;
  void refresh();  // to be called after the state was written to

 private:
  const Communicator& processes_;
  Device device_;
  DType compute_;
  ParameterStore store_;
  BatchNorm norm_;
  Linear classifier_;
  std::unique_ptr<Optimizer> optimizer_;
  std::optional<GradientSums> sums_;  // if gradients are sent to other processes
};

}  // namespace kindred
