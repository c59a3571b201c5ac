// What a run of stage one trains: the model with its optimizer, and everything that learns beside it.
// `pretrain`, its benchmark and its prediction of memory are all built around one step of it.
//
// Several processes compute what one would. Of the batch of a step, process r of N has images r*batch/N to
// (r+1)*batch/N. It computes their features. The loss is that of all features, and each process gets the gradient of
// its own ones. The sum of the parameters' gradients over the processes is the gradient of one process with the whole
// batch, so that all make the same update.
#pragma once

#include <kindred/apps/training/online_probe.h>
#include <kindred/apps/training/step_parts.h>
#include <kindred/engine/communicator/gradient_sums.h>
#include <kindred/losses/feature_queue/feature_queue.h>
#include <kindred/models/micro_batches.h>
#include <kindred/models/momentum_encoder.h>

#include <array>
#include <deque>
#include <functional>
#include <optional>

namespace kindred {

// Of this process's images. `batch` is their number.
struct StepInputs {
  // Normalized, [n, h, w, input_channels]; one tensor for each size of views (images_by_size in step_parts.h).
  std::vector<Tensor> images;
  Tensor labels;  // i32 [2, views*batch]: what the loss compares, then the classes (view_labels)
};

// Results of a step for inspection, on its device. They are of the rows of all processes, and the same on each.
struct StepOutputs {
  Tensor loss;        // f32 []; if it or a gradient is not finite, the optimizer's flag is set
  Tensor probe_loss;  // f32 [], of the online probe; undefined if there is none
  Tensor features;    // [views*batch, dim], view-major: the features that the loss compared
  Tensor positives;   // i32 [anchors], including those in the queue; undefined if the loss is not a softmax
};

class Learner {
 public:
  // `classes` is the number of classes of the data set. The processes train together, each with its own Learner; they
  // must outlive this object. Throws Error(usage) if they cannot have equal shares of a batch.
  Learner(const PretrainOptions& options, Device device, int classes, const Communicator& processes = world());

  ContrastiveModel& model() { return model_; }
  const ContrastiveModel& model() const { return model_; }
  Optimizer& optimizer() { return *optimizer_; }
  // The number of parameters that are not frozen.
  std::int64_t learning_parameters() const;
  const OnlineProbe* online_probe() const { return probe_ ? &*probe_ : nullptr; }
  // How the gradients travel; null if they do not.
  const GradientSums* gradient_sums() const { return sums_ ? &*sums_ : nullptr; }

  // To be called when the model's weights were replaced: everything that follows the model starts again from
  // there.
  void weights_changed();
  void set_learning_rate(double learning_rate);
  // The same in two parts, for recorded steps: compute the rates of everything that learns, then set them from
  // a tensor f32 [rate_count] on the device.
  static constexpr std::int64_t rate_count = 2;
  std::array<float, rate_count> rates(double learning_rate) const;
  void set_rates(const Tensor& rates);

  // Embeds the views, computes the loss, runs backward and updates the model; then everything beside the model
  // learns. The model is not updated if the loss or a gradient is not finite.
  StepOutputs step(const StepInputs& inputs);

  // Runs only the forward pass, in the micro-batches that a step uses, so that a visitor can inspect what the
  // tape keeps. It calls visit(tape, first, rows) for the rows [first, first + rows) of the views, and a last
  // time for the loss, over all of them. Nothing changes. The rows are this process's, but every process must call it:
  // batch norms and the loss need the rows of all.
  using Visit = std::function<void(const Tape& tape, std::int64_t first, std::int64_t rows)>;
  void trace(const StepInputs& inputs, const Visit& visit);

  // What a checkpoint must hold in addition to the model's parameters and buffers. The tensors are windows on
  // the live state: write to them, then call restored().
  std::vector<std::pair<std::string, Tensor>> state() const;
  void restored();

  // To be called before a step that may be undone: saves the state that changes even if the optimizer makes no
  // update.
  void remember();
  void take_back();

 private:
  double probe_rate(double learning_rate) const;
  struct BatchEmbedding {
    std::vector<Embedding> groups;  // one for each size of views
    Embedding whole;                // of all rows
  };
  // Features of the momentum encoder, of all processes: the views of each image except the first.
  struct Keys {
    Tensor features;  // f32 [(views-1)*batch, dim], view-major; undefined without such an encoder
    Tensor labels;    // i32 [(views-1)*batch]
  };
  std::pair<std::vector<Tensor>, Keys> keys_apart(const std::vector<Tensor>& images, const Tensor& labels);
  BatchEmbedding embed(const std::vector<Tensor>& images);
  StepOutputs contrast(const Embedding& batch, const Keys& keys, const Tensor& labels) const;
  void sum_over_processes();
  StepOutputs teach_the_rest(StepOutputs outputs, const Embedding& batch, const Keys& keys,
                             const Tensor& labels, const Tensor& classes);
  Embedding embed(const Tensor& images, MicroBatches* micro_batches);
  Tensor keys_of(const Tensor& images);
  Tensor of_all(const Tensor& own, std::int64_t views) const;
  Tensor loss_of_step(const Tensor& output, const Keys& keys, const Tensor& labels,
                      SupConStatistics* statistics = nullptr) const;
  std::vector<std::pair<std::string, Tensor>> beside_the_model() const;
  std::vector<Tensor> changing() const;

  const Communicator& processes_;
  const Communicator alone_{};
  const Communicator& normalized_with_;  // the processes over whose rows batch norms compute their statistics
  const LossOptions loss_;
  const std::int64_t views_;
  const double peak_rate_;
  ContrastiveModel model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::optional<MomentumEncoder> momentum_;
  std::optional<FeatureQueue> queue_;
  std::optional<OnlineProbe> probe_;
  std::deque<MicroBatches> micro_batches_;         // one for each size of views; empty: a batch is not divided
  std::optional<MicroBatches> key_micro_batches_;  // for the momentum encoder
  std::optional<GradientSums> sums_;               // if gradients are sent to other processes
  Tensor moving_;  // [elements], the running statistics that training changes, if processes compute their own
  std::vector<Tensor> remembered_;
};

}  // namespace kindred
