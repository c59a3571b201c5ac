#include <kindred/apps/common/input_feed.h>
#include <kindred/apps/common/progress.h>
#include <kindred/apps/common/training_steps.h>
#include <kindred/engine/recording.h>

#include <array>
#include <cstring>

namespace kindred {
namespace {

class EagerSteps : public TrainingSteps {
 public:
  EagerSteps(const PretrainOptions& options, Device device, Learner& learner)
      : o_(options), device_(device), learner_(learner) {}

  void begin() override { idle_since_ = now_seconds(); }
  std::optional<StepResult> run(std::span<const std::uint8_t> batch, const std::vector<std::int32_t>& labels,
                                double learning_rate) override {
    const double start = now_seconds();
    inputs_ = {};  // their memory is the next ones'
    outputs_ = {};
    const auto rows = static_cast<std::int64_t>(labels.size()) / 2;
    inputs_.images = image_groups(o_, batch, rows / o_.views, device_);
    for (Tensor& group : inputs_.images)
      group = normalize_images(group, o_.pixel_statistics(), o_.precision.compute);
    inputs_.labels = Tensor::from(labels, {2, rows}, device_);
    learner_.set_learning_rate(learning_rate);
    outputs_ = learner_.step(inputs_);
    StepResult result;
    result.step = steps_++;
    result.loss = outputs_.loss.to_vector<double>()[0];
    if (outputs_.probe_loss.defined()) result.probe_loss = outputs_.probe_loss.to_vector<double>()[0];
    result.non_finite = learner_.optimizer().non_finite();
    result.wait_seconds = start - idle_since_;
    idle_since_ = now_seconds();
    result.step_seconds = idle_since_ - start;
    return result;
  }
  std::optional<StepResult> finish() override { return std::nullopt; }
  StepInputs inputs_of(std::int64_t) override { return inputs_; }
  Tensor features() override { return outputs_.features; }

 private:
  const PretrainOptions o_;
  const Device device_;
  Learner& learner_;
  StepInputs inputs_;
  StepOutputs outputs_;
  std::int64_t steps_ = 0;
  double idle_since_ = now_seconds();
};

class RecordedSteps : public TrainingSteps {
 public:
  RecordedSteps(const PretrainOptions& options, Learner& learner,
                const std::optional<ResidentPictures>& pictures)
      : o_(options),
        learner_(learner),
        pictures_(pictures ? Tensor::from(pictures->bytes,
                                          {static_cast<std::int64_t>(pictures->bytes.size()) /
                                               (pictures->height * pictures->width * 3),
                                           pictures->height, pictures->width, 3},
                                          Device::cuda)
                           : Tensor()),
        feed_({bytes_of(o_, pictures.has_value())}, 2 * rows()),
        pool_(new_memory_pool(Device::cuda)),
        outcome_(Tensor::zeros({3}, DType::f32, Device::cuda)) {
    for (Outcome& outcome : outcomes_) {
      outcome.pinned = static_cast<float*>(gpu().acquire_pinned(outcome_.bytes()));
      outcome.start = gpu().make_event();
      outcome.end = gpu().make_event();
      outcome.copied = gpu().make_event();
    }
  }
  ~RecordedSteps() override {
    try {
      gpu().synchronize();
    } catch (const Error&) {  // it was thrown where it happened, too
    }
    for (Outcome& outcome : outcomes_) {
      gpu().release_pinned(outcome.pinned);
      for (void* event : {outcome.start, outcome.end, outcome.copied}) gpu().destroy_event(event);
    }
  }

  void begin() override {
    first_of_epoch_ = started_;
    epoch_began_ = now_seconds();
  }

  std::optional<StepResult> run(std::span<const std::uint8_t> batch, const std::vector<std::int32_t>& labels,
                                double learning_rate) override {
    if (started_ == first_of_epoch_) first_wait_ = now_seconds() - epoch_began_;
    const int slot = static_cast<int>(started_ % InputFeed::slots);
    feed_.send(slot, batch, labels);
    // The first step of all is done at once: it chooses the plans. A slot's next one is recorded.
    Recording& recording = recordings_[static_cast<std::size_t>(slot)];
    if (started_ > 0 && recording.is_empty()) recording = Recording(pool_, [&] { step(slot); });

    feed_.wait_for(slot);
    learner_.set_learning_rate(learning_rate);
    Outcome& outcome = outcome_of(started_);
    gpu().mark(outcome.start, GpuStream::compute);
    if (recording.is_empty()) {
      const PoolScope scope(Device::cuda, pool_);
      step(slot);
    } else {
      recording.replay();
    }
    gpu().mark(outcome.end, GpuStream::compute);
    feed_.release(slot);
    gpu().copy_bytes(outcome_.raw(), outcome.pinned, outcome_.bytes(), GpuStream::compute);
    gpu().mark(outcome.copied, GpuStream::compute);
    ++started_;
    // One step stays under way: the GPU has work while the host turns to the next batch.
    if (finished_ + 1 >= started_) return std::nullopt;
    return result_of(finished_);
  }

  std::optional<StepResult> finish() override {
    if (started_ == finished_) return std::nullopt;
    return result_of(started_ - 1);
  }

  // The slot holds it until the step after the next is sent.
  StepInputs inputs_of(std::int64_t step) override {
    const int slot = static_cast<int>(step % InputFeed::slots);
    return {images_of(slot), labels_of(slot)};
  }
  Tensor features() override { return features_[static_cast<std::size_t>((started_ - 1) % InputFeed::slots)]; }

 private:
  // Of a step: its loss and flag on the host, and marks around it.
  struct Outcome {
    float* pinned = nullptr;
    void *start = nullptr, *end = nullptr, *copied = nullptr;
  };
  Outcome& outcome_of(std::int64_t step) {
    return outcomes_[static_cast<std::size_t>(step) % outcomes_.size()];
  }

  std::int64_t rows() const { return o_.views * o_.batch_size; }
  Tensor labels_of(int slot) const { return feed_.labels(slot).reshape({2, rows()}); }

  // Of a batch on its way.
  static std::int64_t bytes_of(const PretrainOptions& o, bool resident) {
    if (resident) return o.views * o.batch_size * static_cast<std::int64_t>(sizeof(ResidentView));
    std::int64_t bytes = 0;
    for (const auto& [size, count] : view_sizes(o.view_groups)) bytes += count * o.batch_size * size * size * 3;
    return bytes;
  }

  // Normalized, [views*batch, h, w, 3] for each size of views.
  std::vector<Tensor> images_of(int slot) const {
    Tensor bytes = feed_.bytes(slot);
    if (pictures_.defined()) {
      const std::int64_t size = o_.view_groups.front().size;
      bytes = Tensor::empty({rows(), size, size, 3}, DType::u8, Device::cuda);
      resident_views_cuda->make(pictures_, feed_.bytes(slot), bytes);
    }
    std::vector<Tensor> images;
    std::int64_t first = 0;
    for (const auto& [size, count] : view_sizes(o_.view_groups)) {
      const Tensor group = bytes.window(first, {count * o_.batch_size, size, size, 3});
      images.push_back(normalize_images(group, o_.pixel_statistics(), o_.precision.compute));
      first += group.numel();
    }
    return images;
  }

  // What is recorded: reads the slot and nothing else that changes its address.
  void step(int slot) {
    const StepOutputs outputs = learner_.step({images_of(slot), labels_of(slot)});
    features_[static_cast<std::size_t>(slot)] = outputs.features;
    outcome_.window(0, {1}).copy_from(outputs.loss.reshape({1}));
    outcome_.window(1, {1}).copy_from(learner_.optimizer().non_finite_flag());
    if (outputs.probe_loss.defined()) outcome_.window(2, {1}).copy_from(outputs.probe_loss.reshape({1}));
  }

  StepResult result_of(std::int64_t step) {
    const Outcome& outcome = outcome_of(step);
    gpu().wait_on_host(outcome.copied);
    StepResult result;
    result.step = step;
    result.loss = outcome.pinned[0];
    result.non_finite = static_cast<std::int32_t>(outcome.pinned[1]);
    result.probe_loss = outcome.pinned[2];
    result.step_seconds = gpu().milliseconds_between(outcome.start, outcome.end) / 1e3;
    result.wait_seconds = step > first_of_epoch_
                              ? gpu().milliseconds_between(outcome_of(step - 1).end, outcome.start) / 1e3
                              : first_wait_;
    finished_ = step + 1;
    return result;
  }

  const PretrainOptions o_;
  Learner& learner_;
  Tensor pictures_;  // u8 [n, h, w, 3]: the data set, or undefined
  InputFeed feed_;
  std::shared_ptr<MemoryPool> pool_;               // of what a step makes
  Tensor outcome_;                                 // f32 [3]: the loss, the optimizer's flag, the probe's loss
  std::array<Tensor, InputFeed::slots> features_;  // of each slot's last step
  std::array<Recording, InputFeed::slots> recordings_;
  std::array<Outcome, 4> outcomes_;
  std::int64_t started_ = 0, finished_ = 0, first_of_epoch_ = 0;
  double epoch_began_ = now_seconds(), first_wait_ = 0;  // seconds
};

}  // namespace

std::unique_ptr<TrainingSteps> make_training_steps(const PretrainOptions& options, Device device,
                                                   Learner& learner,
                                                   const std::optional<ResidentPictures>& pictures) {
  // Who skips a step that is not finite restores what it changed before the next one: nothing may run ahead.
  if (device == Device::cuda && !options.skip_nonfinite)
    return std::make_unique<RecordedSteps>(options, learner, pictures);
  return std::make_unique<EagerSteps>(options, device, learner);
}

}  // namespace kindred
