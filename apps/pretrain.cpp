// Stage one: trains an encoder with a contrastive loss. The algorithm is in train(), train_epoch() and, for one
// batch, Learner::step. How a run begins, what it reports and saves, and how it ends is in apps/training/run/phases.
//
// Several processes that train together all run this, each on its share of every batch. What depends on a signal or on time
// they agree on, so that all do the same at the same step; the first one alone reads and writes the run's files
// (apps/training/run/shared).
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/processes/start.h>
#include <kindred/apps/report/run_page.h>
#include <kindred/apps/training/batch_source.h>
#include <kindred/apps/training/run/phases/beginning.h>
#include <kindred/apps/training/run/phases/ending.h>
#include <kindred/apps/training/run/phases/run_reports.h>
#include <kindred/apps/training/run/phases/run_saver.h>
#include <kindred/apps/training/run/phases/step_results.h>
#include <kindred/apps/training/run/run_record.h>
#include <kindred/apps/training/run/shared/saved_so_far.h>
#include <kindred/apps/training/run/shared/shared_start.h>
#include <kindred/apps/training/setup/run_setup.h>
#include <kindred/apps/training/training_steps.h>
#include <kindred/engine/communicator/time_limit.h>

#include <new>

namespace kindred {
namespace {

class Pretraining {
 public:
  explicit Pretraining(RunSetup& setup);

  // As a new run, or from a checkpoint.
  void begin(const nlohmann::json& facts) { beginning_ = begin_run(parts_, facts); }

  // If an error ends the run, its page says so: it must not be "under way" for ever.
  ExitCode train_to_end() {
    try {
      return train();
    } catch (const Error& error) {
      parts_.draw_page(PageMoment::failed, error.code());
      throw;
    } catch (const std::bad_alloc&) {
      parts_.draw_page(PageMoment::failed, ExitCode::device);
      throw;
    }
  }

 private:
  // For each epoch, for each batch: draw views, embed them, compute the loss, run backward, update.
  ExitCode train() {
    announce();
    try {
      if (!record_.is_finished()) batches_.look_at_headers();
      if (record_.state().steps_done == 0) reports_.measure_untrained();
      while (!record_.is_finished())
        if (!train_epoch() || !finish_epoch()) return end_interrupted(parts_, *saver_);
    } catch (const Error& error) {
      record_.rethrow_with_list(error, parts_.folder.replaces());
    }
    return end_finished(parts_, *saver_, reports_);
  }

  // Returns false if interrupted.
  bool train_epoch() {
    const RunState& at = record_.state();
    record_.begin_epoch();
    steps_->begin();
    batches_.start_epoch(static_cast<std::uint32_t>(at.epochs_done), at.batches_done);
    bool goes_on = agreed_interrupt_signal(processes_) == 0;
    for (std::int64_t step = at.steps_done; goes_on && batches_.next(); ++step) {  // draws views
      if (o_.skips_nonfinite()) learner_.remember();
      results_.begin_step(whole_batch(processes_, batches_));
      const std::vector<std::int32_t> labels = view_labels(o_, batches_.labels(), batches_.indices());
      // Learner::step: embed, contrast, backward, update
      results_.take(steps_->run(batches_.bytes(), labels, schedule_.at(step)));
      goes_on = saver_->after_step();
    }
    results_.finish();
    record_.end_steps();
    return record_.epoch_has_all_steps();
  }

  // Measures, reports, saves. Returns false if interrupted; a resumed run then finishes the epoch.
  bool finish_epoch() {
    const std::optional<Accuracies> accuracies = reports_.measure_epoch();
    if (!accuracies) return false;
    const bool is_best = reports_.report_epoch(*accuracies);
    saver_->after_epoch(is_best);
    return true;
  }

  void announce() {
    reports_.announce();
    saver_.emplace(parts_, results_, beginning_);
    if (record_.is_finished()) fmt::print("the run is finished already\n");
  }

  const Communicator& processes_ = world();
  const PretrainOptions& o_;
  const std::optional<ResidentPictures> pictures_;
  BatchSource batches_;
  const Schedule schedule_;
  Learner learner_;
  std::unique_ptr<TrainingSteps> steps_;
  RunRecord record_;
  const RunParts parts_;
  StepResults results_;
  RunReports reports_;
  Beginning beginning_;
  // The last member, because its thread must end before the others are destroyed.
  std::optional<RunSaver> saver_;
};

Pretraining::Pretraining(RunSetup& setup)
    : o_(setup.options),
      pictures_(pictures_for_gpu(o_, setup.device.device, setup.train)),
      batches_(o_, setup.train, pictures_),
      schedule_(make_schedule(o_, batches_.batches_per_epoch())),
      learner_(o_, setup.device.device, setup.train.classes()),
      steps_(make_training_steps(o_, setup.device.device, learner_, pictures_)),
      record_(o_, setup.train, batches_.batches_per_epoch(), [this] { return batches_.bad_images(); }),
      parts_{.options = o_,
             .device = setup.device.device,
             .folder = setup.folder,
             .train = setup.train,
             .evaluation = setup.evaluation,
             .batches = batches_,
             .learner = learner_,
             .record = record_,
             .processes = processes_,
             .page = page_of_pretraining()},
      results_(parts_, *steps_, schedule_),
      reports_(parts_, schedule_, results_.diagnosis()) {}

int pretrain(int argc, char** argv) {
  CommandLine line("Trains an image encoder by supervised contrastive learning (stage one).", "pretrain");
  PretrainFlags flags(line, place_of_settings);
  SavedSoFar saved(line);
  if (const auto done = line.parse(argc, argv)) return *done;
  saved.watch();
  if (const auto ended = start_processes(flags.asked_processes())) return *ended;
  const PretrainOptions asked = flags.resolve();  // refuses wrong flags before the set is read
  watch_for_interrupts();
  if (asked.dry_run) {
    dry_run(flags, asked);
    return 0;
  }
  // Before anything else is read: a killed --overwrite may have set the run aside that the file is of.
  if (!flags.config_file().empty() && world().is_first()) put_right_folder_of(flags.config_file());
  std::optional<LongerLimit> patience(seconds_for_files);  // a set may lie on disks of different speeds
  RunSetup setup(line, flags, asked);
  try {
    Pretraining run(setup);
    run.begin(setup.facts);
    patience.reset();
    return static_cast<int>(run.train_to_end());
  } catch (const OutOfMemory& error) {
    setup.explain(error);
  }
}

const Program pretrain_program("pretrain", "trains an encoder by supervised contrastive learning (stage one)",
                               pretrain);

}  // namespace
}  // namespace kindred
