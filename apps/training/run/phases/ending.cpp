#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/messages/quiet.h>
#include <kindred/apps/training/accuracies.h>
#include <kindred/apps/training/batch_source.h>
#include <kindred/apps/training/run/classifier/classifier_result.h>
#include <kindred/apps/training/run/phases/ending.h>
#include <kindred/apps/training/run/run_record.h>
#include <kindred/apps/training/run/shared/shared_start.h>
#include <kindred/apps/training/run/verdict/verdict.h>
#include <kindred/apps/training/step_parts.h>
#include <kindred/engine/communicator/time_limit.h>

#include <fmt/core.h>

#include <cstdio>
#include <optional>
#include <string>

namespace kindred {
namespace {

// Measures the classifier that was trained with the encoder. Returns false if interrupted.
bool finish_classifier(const RunParts& run) {
  if (!run.evaluation) return true;
  const Scores scores = measure_classifier(run.learner, run.options, run.device, *run.evaluation);
  if (agreed_interrupt_signal(run.processes) != 0) return false;
  first_alone(run.processes, [&] {
    write_classifier_result(run.options, scores, run.record.state().epochs_done, run.train, *run.evaluation);
  });
  return true;
}

}  // namespace

ExitCode end_finished(const RunParts& run, RunSaver& saver, const RunReports& reports) {
  results_follow();
  const std::string failure = run.record.failure();
  saver.at_end();
  if (failure.empty() && loss_options(run.options).classifies() && !finish_classifier(run))
    return end_interrupted(run, saver);
  const std::optional<std::int64_t> best = run.record.best_epoch();
  fmt::print("{}", closing_files(run.options, run.record.bad_images().size(), best));
  check(failure.empty(), ExitCode::non_finite, "{}", failure);
  fmt::print("{}", closing_lines(run.options, run.record.state(), best, run.train, run.evaluation));
  std::fflush(stdout);
  // Everything is saved and said: whatever happens from here on, the run has ended well. The others wait for the first process
  // where the program ends, so their patience must outlive this call.
  [[maybe_unused]] static const LongerLimit& patience = *new LongerLimit(seconds_for_files);
  reports.write_projector_files();
  run.draw_page(PageMoment::end);
  return ExitCode::ok;
}

ExitCode end_interrupted(const RunParts& run, RunSaver& saver) {
  results_follow();
  run.batches.share_bad_images(run.processes);
  saver.at_interrupt();
  run.draw_page(PageMoment::stop);
  return ExitCode::interrupted;
}

}  // namespace kindred
