#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/known_plans.h>
#include <kindred/apps/evaluation/seen_images.h>
#include <kindred/apps/training/learner.h>
#include <kindred/apps/training/run/phases/run_saver.h>
#include <kindred/apps/training/run/run_record.h>
#include <kindred/apps/training/run/shared/between_steps.h>
#include <kindred/apps/training/run/shared/shared_start.h>
#include <kindred/apps/training/run/start.h>

#include <fmt/core.h>

#include <filesystem>

namespace kindred {

RunSaver::RunSaver(const RunParts& run, StepResults& results, const Beginning& beginning)
    : run_(run), results_(results), continues_(beginning.continues) {
  const RunRecord& record = run_.record;
  if (run_.processes.is_first())
    saver_.emplace(
        run_.options, record.state().steps_done,
        [this] { return Checkpoint(run_.learner.model().store, run_.learner.state(), run_.record.state()); },
        [this] { run_.folder.saved(); }, run_.train.class_names(), held_out_of(run_.train),
        beginning.trained_before);
  is_whole_already_ = record.is_finished() && continues_ && has_all_files(run_.options, record.state());
}

bool RunSaver::after_step() {
  const bool is_due = saver_ && saver_->is_due(run_.record.state().steps_done);
  const BetweenSteps agreed = agree_between_steps(run_.processes, is_due);
  if (agreed.saves) {
    results_.finish();
    run_.batches.share_bad_images(run_.processes);
    first_alone(run_.processes, [this] { saver_->save(); });
  }
  return !agreed.ends;
}

void RunSaver::after_epoch(bool is_best) {
  first_alone(run_.processes, [&] {
    if (!run_.record.is_finished() && !would_replace_good_run()) saver_->after_epoch(is_best);
  });
}

void RunSaver::at_end() {
  first_alone(run_.processes, [this] {
    if (!would_replace_good_run() && !is_whole_already_) save_for_sure();
  });
}

void RunSaver::at_interrupt() {
  first_alone(run_.processes, [this] {
    const std::int64_t steps = run_.record.state().steps_done;
    if (!continues_ && steps == 0) {  // an untrained model is no run, and replaces none
      fmt::print("{}: no step was done, and nothing was saved; the same command begins anew\n",
                 interrupt_name());
      return;
    }
    save_for_sure();
    fmt::print("{}: a checkpoint of step {} was saved; the same command with --resume continues the run\n",
               interrupt_name(), steps);
  });
}

bool RunSaver::would_replace_good_run() const {
  return run_.folder.replaces() && !run_.record.failure().empty();
}

void RunSaver::save_for_sure() {
  saver_->save_for_sure();
  run_.record.write_files_for_sure();
  if (run_.device == Device::cuda) save_plans(std::filesystem::path(run_.options.out) / "plans.json");
}

}  // namespace kindred
