// When a run of one or several processes is saved: after a step, at the end of an epoch, and at its end. All processes agree
// that it is time, and the first one alone writes (saver.h).
#pragma once

#include <kindred/apps/training/run/phases/beginning.h>
#include <kindred/apps/training/run/phases/run_parts.h>
#include <kindred/apps/training/run/phases/step_results.h>
#include <kindred/apps/training/run/saver.h>

#include <optional>

namespace kindred {

// All processes must make each of these calls. It has a thread that writes: to be destroyed before the parts of the run.
class RunSaver {
 public:
  // To be made when the run has begun: the time until the next save counts from now.
  RunSaver(const RunParts& run, StepResults& results, const Beginning& beginning);
  RunSaver(const RunSaver&) = delete;
  RunSaver& operator=(const RunSaver&) = delete;

  // Saves if it is time and the weights are finite; in the place of an earlier run, if they are of use and were changed.
  // Returns false if a signal asks the run to end.
  bool after_step();
  // Saves the best epoch so far, and others if that is cheap (Saver::saves_after_epoch). Not the last one, because at_end()
  // follows, not one of a run that has failed and would replace an earlier one, and none whose weights give no finite
  // features (usable_weights.h), which the next steps may mend. Throws Error(non_finite) if weights themselves are not
  // finite.
  void after_epoch(bool is_best);
  // Writes all files of the run, and waits until they are on the disk. Writes nothing if the run was finished before and has
  // all its files, so that it can be started again on a full disk, or if it has failed and would replace an earlier run.
  // Throws Error(io), and Error(non_finite) before anything is written if the last update has left weights of no use.
  void at_end();
  // When a signal ends the run: writes all files, and prints what was saved. A new run without a step is not saved. Throws
  // Error(io), and Error(non_finite) if weights are not finite.
  void at_interrupt();

 private:
  bool would_replace_good_run() const;
  bool may_be_saved() const;
  bool has_usable_weights() const;
  bool gives_finite_features() const;
  void check_weights(bool are_usable) const;
  void save_for_sure();

  const RunParts run_;
  StepResults& results_;
  const bool continues_;           // in the first process: from a checkpoint
  bool is_whole_already_ = false;  // in the first process: the run was finished before, and its files are there
  std::optional<Saver> saver_;     // of the first process
};

}  // namespace kindred
