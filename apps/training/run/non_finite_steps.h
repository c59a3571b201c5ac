// How a run handles steps whose loss or gradient is not finite.
#pragma once

#include <kindred/apps/training/learner.h>
#include <kindred/apps/training/run/checkpoint.h>
#include <kindred/apps/training/training_steps.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/engine/communicator/communicator.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace kindred {

// The optimizer makes no update from such a step, nor from any later one until its flag is cleared. The run
// ends, or with --on-nonfinite skip the step is undone and the run continues.
class NonFiniteSteps {
 public:
  // `comes_back` says of the name of a file in RUN whether that of an earlier run takes its place when this run ends now
  // (OutputFolder::brings_back()); the list of a step that ends the run then gets another name.
  NonFiniteSteps(const PretrainOptions& options, const Dataset& train, Learner& learner, TrainingSteps& steps,
                 const Communicator& processes = world(),
                 std::function<bool(const std::string& name)> comes_back = {});

  // Checks a step that is done. `at` is the position of the run, and `images` are those of the step, of all processes, whose
  // gradients are summed before they are looked at: so all of them decide alike, and the report is about all images. Returns
  // true if the step made an update. Throws Error(non_finite) if the run must end; RUN/non_finite.json
  // (non_finite.refused.json) then names the layer and the images.
  bool is_update(const StepResult& result, const RunState& at, const std::vector<std::int64_t>& images);

 private:
  std::string describe(const StepResult& result, const RunState& at, const std::vector<std::int64_t>& images,
                       bool ends);
  // The name of the list, alike in all processes.
  const char* name_of_list(bool ends) const;

  const bool skip_;
  const std::string advice_;
  const std::filesystem::path out_;
  const Dataset& train_;
  Learner& learner_;
  TrainingSteps& steps_;
  const Communicator& processes_;
  const std::function<bool(const std::string& name)> comes_back_;  // may be empty
};

}  // namespace kindred
