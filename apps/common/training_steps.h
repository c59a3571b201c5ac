// Steps of stage one, one after another, as fast as the device takes them.
//
// On the CPU a step is Learner::step(). On a GPU the whole of it is recorded once (engine/recording.h) and
// started with one call; the host does not wait for a step but reads its loss when the next one runs.
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
  // Starts a step on a batch of the host: the bytes of the loader's images, or with resident pictures those of
  // its ResidentViews; and its view_labels(). Returns the result of an earlier step, or nothing while there
  // is none.
  virtual std::optional<StepResult> run(std::span<const std::uint8_t> batch,
                                        const std::vector<std::int32_t>& labels, double learning_rate) = 0;
  // The result of the last step. Waits for it.
  virtual std::optional<StepResult> finish() = 0;
  // What a step was made from, for the report of one that went wrong: of the last result that was given.
  virtual StepInputs inputs_of(std::int64_t step) = 0;
  // What the loss of the last step looked at, [views*batch, dim]. To be read before the next step is started,
  // and after finish().
  virtual Tensor features() = 0;
};

// For full batches of the options' size. The learner outlives it. With `pictures`, on a GPU only, the data set
// stays there and views are made from it.
std::unique_ptr<TrainingSteps> make_training_steps(const PretrainOptions& options, Device device,
                                                   Learner& learner,
                                                   const std::optional<ResidentPictures>& pictures = {});

}  // namespace kindred
