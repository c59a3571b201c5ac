// Runs steps of stage one, one after another, as fast as the device allows.
//
// On the CPU a step is Learner::step(). On a GPU the whole step is recorded once (engine/recording.h) and
// replayed with one call; for small images one call replays several steps. The host does not wait for them, but
// reads their losses while the next ones run.
//
// If several processes train together, each runs its own steps on its own images, and all get the same results except
// for the seconds.
#pragma once

#include <kindred/apps/training/learner.h>
#include <kindred/data/loading/resident_batches.h>

#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace kindred {

// What is known of a step when it is done.
struct StepResult {
  std::int64_t step = 0;  // the first is 0
  double loss = 0, probe_loss = 0;
  std::int32_t non_finite = 0;  // Optimizer::NonFinite
  double step_seconds = 0;      // how long it took
  double wait_seconds = 0;      // how long the device was idle before it, waiting for a batch
};

class TrainingSteps {
 public:
  virtual ~TrainingSteps() = default;
  // An epoch begins: time spent waiting for data is counted from here.
  virtual void begin() = 0;
  // Starts a step on this process's part of a batch from the host: the bytes of the loader's images, or with
  // resident pictures those of its ResidentViews; and its view_labels(). Returns the results of earlier steps that
  // have become known, in order, each once.
  virtual std::vector<StepResult> run(std::span<const std::uint8_t> batch,
                                      const std::vector<std::int32_t>& labels, double learning_rate) = 0;
  // Waits for all remaining steps and returns their results.
  virtual std::vector<StepResult> finish() = 0;
  // The inputs of a step, for the report of one that failed. The step must be among the results returned last.
  virtual StepInputs inputs_of(std::int64_t step) = 0;
  // The outputs of the last step; empty before the first one. To be read after finish() and before the next
  // step is started.
  virtual const StepOutputs& outputs() const = 0;
};

// The number of steps in one launch on a GPU: as the options say, or depending on the image size.
std::int64_t steps_of_a_launch(const PretrainOptions& options);

// For full batches, of local_batch(options) images. The learner must outlive the result. With `pictures` (only on a
// GPU), the data set stays there and views are made from it.
std::unique_ptr<TrainingSteps> make_training_steps(const PretrainOptions& options, Device device,
                                                   Learner& learner,
                                                   const std::optional<ResidentPictures>& pictures = {});

}  // namespace kindred
