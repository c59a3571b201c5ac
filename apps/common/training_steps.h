// Steps of stage one, one after another, as fast as the device takes them.
//
// On the CPU a step is Learner::step(). On a GPU the whole of it is recorded once (engine/recording.h) and
// started with one call, of small images several steps together; the host does not wait for them but reads
// their losses when the next ones run.
#pragma once

#include <kindred/apps/common/learner.h>
#include <kindred/data/resident_batches.h>

#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace kindred {

// What is known of a step once it is done.
struct StepResult {
  std::int64_t step = 0;  // the first is 0
  double loss = 0, probe_loss = 0;
  std::int32_t non_finite = 0;  // Optimizer::NonFinite
  double step_seconds = 0;      // that it took
  double wait_seconds = 0;      // that the device was idle before it, for want of a batch
};

class TrainingSteps {
 public:
  virtual ~TrainingSteps() = default;
  // An epoch begins: waiting for data counts from here.
  virtual void begin() = 0;
  // Takes up a step on a batch of the host: the bytes of the loader's images, or with resident pictures those
  // of its ResidentViews; and its view_labels(). Returns the results of earlier steps that have become known,
  // in their order, each once.
  virtual std::vector<StepResult> run(std::span<const std::uint8_t> batch,
                                      const std::vector<std::int32_t>& labels, double learning_rate) = 0;
  // All that is left. Waits for it.
  virtual std::vector<StepResult> finish() = 0;
  // What a step was made from, for the report of one that went wrong: of the results that were given last.
  virtual StepInputs inputs_of(std::int64_t step) = 0;
  // What the last step left; nothing before the first. To be read after finish(), and before the next step is
  // started.
  virtual const StepOutputs& outputs() const = 0;
};

// How many steps a launch on a GPU has: as the options say, or as suits the images.
std::int64_t steps_of_a_launch(const PretrainOptions& options);

// For full batches of the options' size. The learner outlives it. With `pictures`, on a GPU only, the data set
// stays there and views are made from it.
std::unique_ptr<TrainingSteps> make_training_steps(const PretrainOptions& options, Device device,
                                                   Learner& learner,
                                                   const std::optional<ResidentPictures>& pictures = {});

}  // namespace kindred
