// What a run measures of its encoder and says about itself: before its first step, and at the end of each epoch.
#pragma once

#include <kindred/apps/training/accuracies.h>
#include <kindred/apps/training/diagnosis.h>
#include <kindred/apps/training/loss.h>
#include <kindred/apps/training/run/phases/run_parts.h>
#include <kindred/engine/communicator/gradient_sums.h>
#include <kindred/engine/optimizer/schedule.h>

#include <optional>

namespace kindred {

// All processes must make each of these calls. The first one alone has a standard output.
class RunReports {
 public:
  // Schedule and diagnosis must outlive this object.
  RunReports(const RunParts& run, const Schedule& schedule, Diagnosis& diagnosis);

  // Prints what the run trains and on what (announcement.h).
  void announce() const;
  // Measures the encoder before the first step and prints the figure, with which the verdict on the run compares.
  void measure_untrained();

  // After the last step of an epoch: its accuracies, which are empty if none is due. Returns nullopt if a signal interrupts
  // the run.
  std::optional<Accuracies> measure_epoch();
  // Prints the epoch's figures and warnings, ends it in the record, and draws the run's page. Returns true if it is the best so
  // far. Throws Error(data) if the processes have met too many bad images together.
  bool report_epoch(const Accuracies& accuracies);

  // Writes the projector's files, if this process has measured the last epoch. The first process does it alone, and no other one
  // waits here. Never throws (projector.h).
  void write_projector_files() const;

 private:
  const RunParts run_;
  const Schedule& schedule_;
  Diagnosis& diagnosis_;
  const LossOptions loss_;
  const double collapse_loss_;            // the loss of equal features
  MeasuredImages measured_{};             // in the first process: of the last measurement, for the projector
  GradientSums::Figures gradients_told_;  // at the end of the last epoch
};

}  // namespace kindred
