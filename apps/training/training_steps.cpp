#include <kindred/apps/console/clock.h>
#include <kindred/apps/training/input_feed.h>
#include <kindred/apps/training/training_steps.h>
#include <kindred/engine/recording.h>
#include <kindred/layers/image_input/image_input.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace kindred {
namespace {

class EagerSteps : public TrainingSteps {
 public:
  EagerSteps(const PretrainOptions& options, Device device, Learner& learner)
      : o_(options), device_(device), learner_(learner) {}

  void begin() override { idle_since_ = now_seconds(); }
  std::vector<StepResult> run(std::span<const std::uint8_t> batch, const std::vector<std::int32_t>& labels,
                              double learning_rate) override {
    const double start = now_seconds();
    inputs_ = {};  // the next inputs reuse their memory
    outputs_ = {};
    const auto rows = static_cast<std::int64_t>(labels.size()) / 2;
    inputs_.images = images_by_size(o_, batch, rows / o_.views, device_);
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
    return {result};
  }
  std::vector<StepResult> finish() override { return {}; }
  StepInputs inputs_of(std::int64_t) override { return inputs_; }
  const StepOutputs& outputs() const override { return outputs_; }

 private:
  const PretrainOptions o_;
  const Device device_;
  Learner& learner_;
  StepInputs inputs_;
  StepOutputs outputs_;
  std::int64_t steps_ = 0;
  double idle_since_ = now_seconds();
};

// A launch runs all steps that were put into a slot, with one call if they were recorded. What processes send each
// other during a step is recorded with it.
class RecordedSteps : public TrainingSteps {
 public:
  RecordedSteps(const PretrainOptions& options, Learner& learner,
                const std::optional<ResidentPictures>& pictures)
      : o_(options),
        batch_(local_batch(options)),
        steps_a_launch_(steps_of_a_launch(options)),
        learner_(learner),
        pictures_(pictures ? Tensor::from(pictures->bytes,
                                          {static_cast<std::int64_t>(pictures->bytes.size()) /
                                               (pictures->height * pictures->width * 3),
                                           pictures->height, pictures->width, 3},
                                          Device::cuda)
                           : Tensor()),
        feed_(steps_a_launch_, bytes_of_batch(pictures.has_value()), 2 * rows(), Learner::rate_count),
        pool_(new_memory_pool(Device::cuda)),
        outcomes_(Tensor::zeros({steps_a_launch_, outcome_count}, DType::f32, Device::cuda)) {
    for (Launch& launch : launches_) {
      launch.outcomes = static_cast<float*>(gpu().acquire_pinned(outcomes_.bytes()));
      launch.start = gpu().make_event();
      launch.end = gpu().make_event();
      launch.copied = gpu().make_event();
    }
  }
  ~RecordedSteps() override {
    try {
      gpu().synchronize();
    } catch (const Error&) {  // it was also thrown where it occurred
    }
    for (Launch& launch : launches_) {
      gpu().release_pinned(launch.outcomes);
      for (void* event : {launch.start, launch.end, launch.copied}) gpu().destroy_event(event);
    }
  }

  void begin() override {
    first_of_epoch_ = started_;
    epoch_began_ = now_seconds();
  }

  std::vector<StepResult> run(std::span<const std::uint8_t> batch, const std::vector<std::int32_t>& labels,
                              double learning_rate) override {
    feed_.put(slot_of(started_), put_, batch, labels, learner_.rates(learning_rate));
    if (++put_ < steps_a_launch_) return {};
    launch();
    // One launch stays in flight, so that the GPU has work while the host prepares the next batches.
    return results_before(started_ - 1);
  }

  std::vector<StepResult> finish() override {
    if (put_ > 0) launch();
    return results_before(started_);
  }

  // The slot holds them until the launch after the next is sent, which waits until they have been copied.
  StepInputs inputs_of(std::int64_t step) override {
    std::int64_t launch = started_ - 1;
    while (launch_at(launch).first > step) --launch;
    const std::int64_t place = step - launch_at(launch).first;
    const int slot = slot_of(launch);
    StepInputs inputs{.images = images_of(slot, place),
                      .labels = labels_of(slot, place).to(Device::cuda, DType::i32)};
    feed_.release(slot);
    return inputs;
  }
  const StepOutputs& outputs() const override { return outputs_; }

 private:
  static constexpr std::int64_t outcome_count = 3;  // the loss, the optimizer's flag, the probe's loss
  struct Launch {
    std::int64_t first = 0, steps = 0;
    float* outcomes = nullptr;                                 // [steps, outcome_count] in pinned memory
    void *start = nullptr, *end = nullptr, *copied = nullptr;  // events
  };
  struct Recorded {
    Recording recording;
    StepOutputs outputs;  // of its last step, at every replay
  };

  Launch& launch_at(std::int64_t index) {
    return launches_[static_cast<std::size_t>(index) % launches_.size()];
  }
  static int slot_of(std::int64_t launch) { return static_cast<int>(launch % InputFeed::slots); }

  std::int64_t rows() const { return o_.views * batch_; }
  Tensor labels_of(int slot, std::int64_t place) const {
    return feed_.labels(slot, place).reshape({2, rows()});
  }

  // The bytes of a batch that is sent to the GPU.
  std::int64_t bytes_of_batch(bool resident) const {
    if (resident) return rows() * static_cast<std::int64_t>(sizeof(ResidentView));
    std::int64_t bytes = 0;
    for (const auto& [size, count] : view_sizes(o_.view_groups)) bytes += count * batch_ * size * size * 3;
    return bytes;
  }

  // Normalized images, [views*batch, h, w, 3], one tensor for each size of views.
  std::vector<Tensor> images_of(int slot, std::int64_t place) const {
    Tensor bytes = feed_.bytes(slot, place);
    if (pictures_.defined()) {
      const std::int64_t size = o_.view_groups.front().size;
      const Tensor views = Tensor::empty({rows(), size, size, 3}, DType::u8, Device::cuda);
      resident_views_cuda->make(pictures_, bytes, Output(views));
      bytes = views;
    }
    std::vector<Tensor> images;
    std::int64_t first = 0;
    for (const auto& [size, count] : view_sizes(o_.view_groups)) {
      const Tensor group = bytes.window(first, {count * batch_, size, size, 3});
      images.push_back(normalize_images(group, o_.pixel_statistics(), o_.precision.compute));
      first += group.numel();
    }
    return images;
  }

  // The work that is recorded. It reads only the slot and tensors whose addresses do not change. Returns the
  // outputs of the last step.
  StepOutputs make_steps(int slot, std::int64_t steps) {
    StepOutputs outputs;
    for (std::int64_t place = 0; place < steps; ++place) {
      outputs = {};  // this step reuses their memory
      learner_.set_rates(feed_.rates(slot, place));
      outputs = learner_.step({.images = images_of(slot, place), .labels = labels_of(slot, place)});
      const auto outcome = [&](std::int64_t which) {
        return outcomes_.window(place * outcome_count + which, {1});
      };
      outcome(0).copy_from(outputs.loss.reshape({1}));
      outcome(1).copy_from(learner_.optimizer().non_finite_flag());
      if (outputs.probe_loss.defined()) outcome(2).copy_from(outputs.probe_loss.reshape({1}));
    }
    return outputs;
  }

  // Starts the steps that were put into the slot.
  void launch() {
    const int slot = slot_of(started_);
    Launch& launch = launch_at(started_);
    launch.first = started_ > 0 ? launch_at(started_ - 1).first + launch_at(started_ - 1).steps : 0;
    launch.steps = std::exchange(put_, 0);
    if (started_ == first_of_epoch_) first_wait_ = now_seconds() - epoch_began_;
    feed_.send(slot);
    // The very first launch runs without a recording, because it selects the plans. Later ones are recorded
    // when a slot has their number of steps for the first time; the last launch of an epoch may have fewer
    // steps.
    const bool at_once = started_ == 0;
    Recorded& recorded = recorded_[static_cast<std::size_t>(slot)][launch.steps];
    if (!at_once && recorded.recording.is_empty())
      recorded.recording = Recording(pool_, [&] { recorded.outputs = make_steps(slot, launch.steps); });

    feed_.wait_for(slot);
    gpu().mark(launch.start, GpuStream::compute);
    outputs_ = {};
    if (at_once) {
      const PoolScope scope(Device::cuda, pool_);
      outputs_ = make_steps(slot, launch.steps);
    } else {
      recorded.recording.replay();
      outputs_ = recorded.outputs;
    }
    gpu().mark(launch.end, GpuStream::compute);
    feed_.release(slot);
    gpu().copy_bytes(outcomes_.raw(), launch.outcomes, outcomes_.bytes(), GpuStream::compute);
    gpu().mark(launch.copied, GpuStream::compute);
    ++started_;
  }

  // The results of launches before `end` that have not been returned yet.
  std::vector<StepResult> results_before(std::int64_t end) {
    std::vector<StepResult> results;
    for (; finished_ < end; ++finished_) {
      const Launch& launch = launch_at(finished_);
      gpu().wait_on_host(launch.copied);
      const double seconds = gpu().milliseconds_between(launch.start, launch.end) / 1e3;
      const double wait = finished_ > first_of_epoch_
                              ? gpu().milliseconds_between(launch_at(finished_ - 1).end, launch.start) / 1e3
                              : first_wait_;
      for (std::int64_t place = 0; place < launch.steps; ++place) {
        const float* outcome = launch.outcomes + place * outcome_count;
        results.push_back({.step = launch.first + place,
                           .loss = outcome[0],
                           .probe_loss = outcome[2],
                           .non_finite = static_cast<std::int32_t>(outcome[1]),
                           .step_seconds = seconds / static_cast<double>(launch.steps),
                           .wait_seconds = place == 0 ? wait : 0});
      }
    }
    return results;
  }

  const PretrainOptions o_;
  const std::int64_t batch_;  // this process's images of a batch
  const std::int64_t steps_a_launch_;
  Learner& learner_;
  Tensor pictures_;  // u8 [n, h, w, 3]: the data set, or undefined
  InputFeed feed_;
  std::shared_ptr<MemoryPool> pool_;  // for the tensors of a step
  Tensor outcomes_;                   // f32 [steps_a_launch, outcome_count]
  StepOutputs outputs_;               // of the last step
  std::array<std::map<std::int64_t, Recorded>, InputFeed::slots> recorded_;  // by the number of steps
  std::array<Launch, 4> launches_;                                           // the latest ones
  std::int64_t put_ = 0;  // steps that wait in the slot of the next launch
  std::int64_t started_ = 0, finished_ = 0, first_of_epoch_ = 0;  // launches
  double epoch_began_ = now_seconds(), first_wait_ = 0;           // seconds
};

}  // namespace

std::int64_t steps_of_a_launch(const PretrainOptions& options) {
  if (options.steps_a_launch > 0) return options.steps_a_launch;
  std::int64_t largest = 0;
  for (const ViewGroup& group : options.view_groups) largest = std::max(largest, std::int64_t{group.size});
  return largest <= 64 ? 4 : 1;  // steps on larger images are so long that calls between them cost nothing
}

std::unique_ptr<TrainingSteps> make_training_steps(const PretrainOptions& options, Device device,
                                                   Learner& learner,
                                                   const std::optional<ResidentPictures>& pictures) {
  // A run that skips non-finite steps undoes a step before the next one starts, so nothing may run ahead.
  if (device == Device::cuda && !options.skips_nonfinite())
    return std::make_unique<RecordedSteps>(options, learner, pictures);
  return std::make_unique<EagerSteps>(options, device, learner);
}

}  // namespace kindred
