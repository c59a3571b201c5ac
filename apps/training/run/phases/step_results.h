// What becomes of the results of a run's steps. They go into its record; a loss or gradient that is not finite ends the run,
// or the step is skipped; --log-every prints lines; and figures are computed from the features of an epoch's last batch.
#pragma once

#include <kindred/apps/console/messages/step_log.h>
#include <kindred/apps/training/batch_source.h>
#include <kindred/apps/training/diagnosis.h>
#include <kindred/apps/training/run/non_finite_steps.h>
#include <kindred/apps/training/run/phases/run_parts.h>
#include <kindred/apps/training/training_steps.h>
#include <kindred/engine/optimizer/schedule.h>

#include <vector>

namespace kindred {

class StepResults {
 public:
  // Steps and schedule must outlive this object.
  StepResults(const RunParts& run, TrainingSteps& steps, const Schedule& schedule);

  // To be called before the step on this batch is started.
  void begin_step(const WholeBatch& batch);
  // Takes the results of finished steps. A GPU's results become known only after later steps have been started. Throws
  // Error(non_finite) if the run must end (NonFiniteSteps).
  void take(const std::vector<StepResult>& results);
  // Waits for the steps whose results are not known yet, and takes these. If the epoch's last step is done, computes the
  // figures of its batch, so that a checkpoint holds them. Throws as take().
  void finish();

  // Of the batches so far, to be judged at the end of an epoch.
  Diagnosis& diagnosis() { return diagnosis_; }

 private:
  const RunParts run_;
  TrainingSteps& steps_;
  const Schedule& schedule_;
  Diagnosis diagnosis_;
  NonFiniteSteps non_finite_;
  StepLog log_;
};

}  // namespace kindred
