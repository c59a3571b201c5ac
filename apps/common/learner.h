// What a run of stage one trains: the model with its optimizer, and what learns beside it. One step of it is
// the heart of `pretrain`, of its benchmark and of its memory plan.
#pragma once

#include <kindred/apps/common/online_probe.h>
#include <kindred/apps/common/step.h>
#include <kindred/losses/feature_queue/feature_queue.h>
#include <kindred/models/micro_batches.h>
#include <kindred/models/momentum_encoder.h>

#include <array>
#include <deque>
#include <functional>
#include <optional>

namespace kindred {

struct StepInputs {
  std::vector<Tensor>
      images;     // normalized [n, h, w, 3]; a tensor for each size of views (image_groups in step.h)
  Tensor labels;  // i32 [2, views*batch]: what the loss compares, then the classes (view_labels)
};

// What a step leaves to look at, on its device.
struct StepOutputs {
  Tensor loss;        // f32 []; not finite, or a gradient is not: then the optimizer's flag is up
  Tensor probe_loss;  // f32 [], of the online probe; undefined without one
  Tensor features;    // [views*batch, dim]: what the loss compared
  Tensor
      positives;  // i32 [anchors]: of each, those in the queue included; undefined where the loss is no softmax
};

class Learner {
 public:
  // `classes` of the data set.
  Learner(const PretrainOptions& options, Device device, int classes);

  ContrastiveModel& model() { return model_; }
  const ContrastiveModel& model() const { return model_; }
  Optimizer& optimizer() { return *optimizer_; }
  const OnlineProbe* online_probe() const { return probe_ ? &*probe_ : nullptr; }

  // The model's weights were replaced: what follows them starts from there.
  void weights_changed();
  void set_learning_rate(double learning_rate);
  // The same in two halves, for steps that are recorded: the rates of all that learns, and the same from a
  // tensor f32 [rate_count] of the device.
  static constexpr std::int64_t rate_count = 2;
  std::array<float, rate_count> rates(double learning_rate) const;
  void set_rates(const Tensor& rates);

  // Forward, loss, backward, update. Nothing of the model is updated when the loss or a gradient is not finite.
  StepOutputs step(const StepInputs& inputs);

  // The forward pass alone, in the pieces that a step takes, for who wants to see what the tape keeps:
  // visit(tape, first, rows) for the rows [first, first + rows) of the views; the last time for the loss, over
  // all of them. Changes nothing.
  using Visit = std::function<void(const Tape& tape, std::int64_t first, std::int64_t rows)>;
  void trace(const StepInputs& inputs, const Visit& visit);

  // What a checkpoint must hold beside the model's parameters and buffers. Windows on the live state; write to
  // them, then call restored().
  std::vector<std::pair<std::string, Tensor>> state() const;
  void restored();

  // For a step that is to be taken back: what changes although the optimizer makes no update.
  void remember();
  void take_back();

 private:
  double probe_rate(double learning_rate) const;
  Embedding embed(const Tensor& images, MicroBatches* pieces);
  Tensor keys_of(const Tensor& images);
  Tensor loss_of_step(const Tensor& output, const Tensor& keys, const Tensor& labels,
                      SupConStatistics* statistics = nullptr) const;
  std::vector<std::pair<std::string, Tensor>> beside_the_model() const;
  std::vector<Tensor> changing() const;

  const LossOptions loss_;
  const std::int64_t views_;
  const double peak_rate_;
  ContrastiveModel model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::optional<MomentumEncoder> momentum_;
  std::optional<FeatureQueue> queue_;
  std::optional<OnlineProbe> probe_;
  std::deque<MicroBatches> pieces_;         // of each size of views; empty: a batch goes through in one
  std::optional<MicroBatches> key_pieces_;  // of the momentum encoder
  std::vector<Tensor> remembered_;
};

}  // namespace kindred
