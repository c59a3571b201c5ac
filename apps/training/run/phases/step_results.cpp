#include <kindred/apps/training/run/phases/step_results.h>
#include <kindred/apps/training/run/run_record.h>
#include <kindred/apps/training/run/takeover/output_folder.h>
#include <kindred/apps/training/step_parts.h>

namespace kindred {

StepResults::StepResults(const RunParts& run, TrainingSteps& steps, const Schedule& schedule)
    : run_(run),
      steps_(steps),
      schedule_(schedule),
      diagnosis_(loss_options(run.options), run.train.classes(), !freezes_encoder(run.options)),
      non_finite_(run.options, run.train, run.learner, steps, run.processes,
                  [&folder = run.folder](const std::string& name) { return folder.brings_back(name); }),
      log_(run.options.log_every, run.options.views * run.options.batch_size,
           run.options.epochs * run.batches.batches_per_epoch()) {}

void StepResults::begin_step(const WholeBatch& batch) {
  diagnosis_.see(batch.labels, batch.indices, batch.drawn);
  run_.record.begin_step(batch.indices);
}

void StepResults::take(const std::vector<StepResult>& results) {
  RunRecord& record = run_.record;
  for (const StepResult& result : results) {
    record.end_step(result, non_finite_.is_update(result, record.state(), record.images_of_step()));
    const std::int64_t step = record.state().steps_done;
    log_.end_step(step, result.loss, schedule_.at(step - 1), result.step_seconds + result.wait_seconds);
  }
}

void StepResults::finish() {
  take(steps_.finish());
  RunRecord& record = run_.record;
  const StepOutputs& last = steps_.outputs();  // undefined before this process's first step
  if (record.epoch_has_all_steps() && record.state().features.is_null() && last.features.defined())
    record.set_features(diagnosis_.look_at(last.features, last.positives));
}

}  // namespace kindred
