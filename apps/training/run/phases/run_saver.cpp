#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/known_plans.h>
#include <kindred/apps/evaluation/seen_images.h>
#include <kindred/apps/training/accuracies.h>
#include <kindred/apps/training/diagnosis.h>
#include <kindred/apps/training/learner.h>
#include <kindred/apps/training/run/phases/run_saver.h>
#include <kindred/apps/training/run/run_record.h>
#include <kindred/apps/training/run/shared/between_steps.h>
#include <kindred/apps/training/run/shared/shared_start.h>
#include <kindred/apps/training/run/start.h>
#include <kindred/apps/training/run/takeover/output_folder.h>
#include <kindred/apps/training/step_parts.h>
#include <kindred/engine/memory.h>
#include <kindred/models/usable_weights.h>

#include <fmt/core.h>

#include <cstdint>
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
    first_alone(run_.processes, [this] {
      if (may_be_saved())
        saver_->save();
      else
        saver_->put_off();
    });
  }
  return !agreed.ends;
}

void RunSaver::after_epoch(bool is_best) {
  first_alone(run_.processes, [&] {
    if (run_.record.is_finished() || would_replace_good_run() || !saver_->saves_after_epoch(is_best)) return;
    // Weights may mend as long as they are finite. A running statistic that is not stays so, and no step reads it.
    const bool are_finite = has_finite_weights(run_.learner.model().store);
    if (run_.record.failure().empty()) check_weights(are_finite);
    if (are_finite && gives_finite_features()) {
      saver_->save();
      return;
    }
    fmt::print("warning: the weights after step {} give no finite features, and were not saved\n",
               run_.record.state().steps_done);
    saver_->put_off();
  });
}

// Finite weights may mend. But an earlier run is not replaced by weights that nobody can use yet, or that no step has changed.
bool RunSaver::may_be_saved() const {
  if (!run_.folder.replaces()) return has_finite_weights(run_.learner.model().store);
  const bool has_just_failed = run_.record.state().skipped_in_a_row > 0 || would_replace_good_run();
  return !has_just_failed && has_usable_weights();
}

void RunSaver::at_end() {
  first_alone(run_.processes, [this] {
    if (would_replace_good_run() || is_whole_already_) return;
    // Of a run that has failed by its steps the end says so, and its weights are saved to be looked at.
    if (run_.record.failure().empty()) check_weights(has_usable_weights());
    save_for_sure();
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
    if (would_replace_good_run()) {
      fmt::print("{}: this run has failed, and nothing was saved; the same command begins anew\n",
                 interrupt_name());
      return;
    }
    if (run_.record.failure().empty())
      check_weights(run_.folder.replaces() ? has_usable_weights()
                                           : has_finite_weights(run_.learner.model().store));
    save_for_sure();
    fmt::print("{}: a checkpoint of step {} was saved; the same command with --resume continues the run\n",
               interrupt_name(), steps);
  });
}

bool RunSaver::has_usable_weights() const {
  return has_finite_weights(run_.learner.model().store) && gives_finite_features();
}

bool RunSaver::gives_finite_features() const {
  const PretrainOptions& o = run_.options;
  const bool is_gpu = run_.device == Device::cuda;
  const bool measures = run_.evaluation.has_value() && o.knn_every > 0;
  // A GPU has its plans, and its room, for as many images as a measurement takes.
  const std::int64_t count = is_gpu && measures ? images_measured_at_once(o) : 1;
  // Noise is no picture, and f16 ends at 65504.
  const DType compute = o.precision.compute == DType::f16 ? DType::f32 : o.precision.compute;
  bool are_usable = true;
  try {
    are_usable = has_finite_outputs(
        run_.learner.model(), noise_images(count, o.image_size, o.pixel_statistics(), compute, run_.device));
  } catch (const OutOfMemory&) {  // beside the training step there is no room, and the weights are finite
  }
  if (is_gpu) memory_pool(run_.device).trim();  // the training step has its own memory
  return are_usable;
}

void RunSaver::check_weights(bool are_usable) const {
  check(are_usable, ExitCode::non_finite,
        "the run has diverged: the weights after step {} give no finite features, so they are of no use and "
        "were not saved; {}",
        run_.record.state().steps_done, advice_on_non_finite(loss_options(run_.options)));
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
