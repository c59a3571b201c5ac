// Stage one: trains an encoder with a contrastive loss. The algorithm is in train(), train_epoch() and, for one
// batch, Learner::step. What a run saves and reports is in apps/training/run.
#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/images/evaluated_on.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/messages/quiet.h>
#include <kindred/apps/console/messages/step_log.h>
#include <kindred/apps/evaluation/seen_images.h>
#include <kindred/apps/training/announcement.h>
#include <kindred/apps/training/batch_source.h>
#include <kindred/apps/training/diagnosis.h>
#include <kindred/apps/training/run/classifier/classifier_result.h>
#include <kindred/apps/training/run/non_finite_steps.h>
#include <kindred/apps/training/run/run_record.h>
#include <kindred/apps/training/run/saver.h>
#include <kindred/apps/training/run/start.h>
#include <kindred/apps/training/run/verdict/verdict.h>
#include <kindred/apps/training/setup/run_setup.h>

namespace kindred {
namespace {

enum class Ending { finished, interrupted };

class Pretraining {
 public:
  explicit Pretraining(RunSetup& setup)
      : o_(setup.options),
        device_(setup.device.device),
        folder_(setup.folder),
        train_(setup.train),
        evaluation_(setup.evaluation),
        pictures_(pictures_for_gpu(o_, device_, train_)),
        batches_(o_, train_, pictures_),
        schedule_(make_schedule(o_, batches_.batches_per_epoch())),
        loss_(loss_options(o_)),
        collapse_loss_(collapse_loss(loss_, o_.batch_size, train_.classes(),
                                     same_class_share(train_.labels(), train_.classes()))),
        diagnosis_(loss_, train_.classes()),
        learner_(o_, device_, train_.classes()),
        steps_(make_training_steps(o_, device_, learner_, pictures_)),
        non_finite_(o_, train_, learner_, *steps_),
        record_(o_, train_, batches_.batches_per_epoch(), [this] { return batches_.bad_images(); }),
        step_log_(o_.log_every, o_.views * o_.batch_size, o_.epochs * batches_.batches_per_epoch()) {}

  nlohmann::json config() const { return config_of_run(o_, train_, evaluation_, record_.state().data); }

  // Starts a new run. Weights from a file replace the random initial weights.
  void begin() {
    record_.begin();
    if (o_.weights.empty()) return;
    trained_before_ = load_initial_weights(o_, learner_.model().store, evaluation_);
    learner_.weights_changed();
  }

  void resume(const Checkpoint& checkpoint) {
    checkpoint.restore(learner_.model().store, learner_.state());
    learner_.restored();
    trained_before_ = checkpoint.trained_before();
    record_.resume(checkpoint.run());
  }

  // For each epoch, for each batch: draw views, embed them, compute the loss, run backward, update.
  Ending train() {
    announce();
    try {
      if (!record_.is_finished()) batches_.look_at_headers();
      if (record_.state().steps_done == 0)
        record_.set_untrained(measure_start(learner_, o_, device_, train_, evaluation_));
      while (!record_.is_finished())
        if (!train_epoch() || !finish_epoch()) return end_interrupted();
    } catch (const Error& error) {
      record_.rethrow_with_list(error, folder_.replaces());
    }
    return end_finished();
  }

 private:
  // Returns false if interrupted.
  bool train_epoch() {
    const RunState& at = record_.state();
    record_.begin_epoch();
    steps_->begin();
    batches_.start_epoch(static_cast<std::uint32_t>(at.epochs_done), at.batches_done);
    for (std::int64_t step = at.steps_done; !interrupt_signal() && batches_.next(); ++step) {
      if (o_.skips_nonfinite()) learner_.remember();
      diagnosis_.see(batches_.labels(), batches_.indices(), batches_.drawn());
      record_.begin_step(batches_.indices());
      const std::vector<std::int32_t> labels = view_labels(o_, batches_.labels(), batches_.indices());
      take(steps_->run(batches_.bytes(), labels, schedule_.at(step)));  // Learner::step
      saver_->after_step(at.steps_done);
    }
    finish_steps();
    record_.end_steps();
    return record_.epoch_has_all_steps();
  }

  // A GPU may have finished steps whose results have not been read. After the epoch's last one looks at its batch, so
  // that a checkpoint holds the figures.
  void finish_steps() {
    take(steps_->finish());
    const StepOutputs& last = steps_->outputs();  // undefined before this process's first step
    if (record_.epoch_has_all_steps() && record_.state().features.is_null() && last.features.defined())
      record_.set_features(diagnosis_.look_at(last.features, last.positives));
  }

  // Takes the results of finished steps. A GPU's results become known only after later steps have been started.
  void take(const std::vector<StepResult>& results) {
    for (const StepResult& result : results) {
      record_.end_step(result, non_finite_.is_update(result, record_.state(), record_.images_of_step()));
      const std::int64_t step = record_.state().steps_done;
      step_log_.end_step(step, result.loss, schedule_.at(step - 1), result.step_seconds + result.wait_seconds);
    }
  }

  // Measures accuracies, reports, and saves. Returns false if interrupted; a resumed run then finishes the
  // epoch.
  bool finish_epoch() {
    const double start = now_seconds();
    const std::int64_t epoch = record_.state().epochs_done + 1;
    const bool due = o_.knn_every > 0 && (epoch % o_.knn_every == 0 || epoch == o_.epochs);
    Accuracies accuracies;
    if (evaluation_ && due) accuracies = measure_accuracies(learner_, o_, device_, train_, *evaluation_);
    if (interrupt_signal()) return false;
    record_.add_seconds(now_seconds() - start);

    const double rate = schedule_.at(record_.state().steps_done - 1);
    const EpochReport report =
        record_.report(accuracies, rate, collapse_loss_, learner_.online_probe() != nullptr);
    diagnosis_.finish_epoch(epoch, report.loss, collapse_loss_,
                            static_cast<double>(epoch) <= o_.warmup_epochs &&
                                is_above_chance(record_.state(), report.neighbours, evaluation_));
    fmt::print("{}\n", report.to_string());
    if (!diagnosis_.line().empty()) fmt::print("  {}\n", diagnosis_.line());
    for (const std::string& warning : diagnosis_.warnings()) fmt::print("warning: {}\n", warning);
    std::fflush(stdout);

    EpochFigure figure = report.figure(evaluation_ && o_.knn_every > 0);
    if (evaluation_ && figure.kind != "loss") figure.measured_on = images_of_part(*evaluation_);
    if (record_.has_diverged()) figure.score.reset();  // the model has not learned
    const bool is_best = record_.end_epoch(report, figure);
    const bool would_replace = folder_.replaces() && !record_.failure().empty();
    if (!record_.is_finished() && !would_replace) saver_->after_epoch(is_best);
    return true;
  }

  void announce() {
    announce_run(o_, train_, batches_, schedule_, learner_, loss_, collapse_loss_);
    saver_.emplace(
        o_, record_.state().steps_done,
        [this] {
          finish_steps();
          return Checkpoint(learner_.model().store, learner_.state(), record_.state());
        },
        [this] { folder_.saved(); }, train_.class_names(), held_out_of(train_), trained_before_);
    if (record_.is_finished()) fmt::print("the run is finished already\n");
  }

  void save_for_sure() {
    saver_->save_for_sure();
    record_.write_files_for_sure();
    if (device_ == Device::cuda) save_plans(std::filesystem::path(o_.out) / "plans.json");
  }

  // Measures the classifier that was trained with the encoder. Returns false if interrupted.
  bool finish_classifier() {
    if (!evaluation_) return true;
    const Scores scores = measure_classifier(learner_, o_, device_, *evaluation_);
    if (interrupt_signal()) return false;
    write_classifier_result(o_, scores, record_.state().epochs_done, train_, *evaluation_);
    return true;
  }

  Ending end_finished() {
    results_follow();
    const std::string failure = record_.failure();
    if (!folder_.replaces() || failure.empty()) save_for_sure();  // it would replace a good run
    if (failure.empty() && loss_.classifies() && !finish_classifier()) return end_interrupted();
    fmt::print("{}", closing_files(o_, batches_.bad_images().size(), record_.best_epoch()));
    check(failure.empty(), ExitCode::non_finite, "{}", failure);
    fmt::print("{}", closing_lines(o_, record_.state(), record_.best_epoch(), train_, evaluation_));
    return Ending::finished;
  }

  Ending end_interrupted() {
    results_follow();
    if (folder_.replaces() && record_.state().steps_done == 0) {  // an untrained model replaces no run
      fmt::print("{}: no step was done, and nothing was saved\n", interrupt_name());
      return Ending::interrupted;
    }
    save_for_sure();
    fmt::print("{}: a checkpoint of step {} was saved; the same command with --resume continues the run\n",
               interrupt_name(), record_.state().steps_done);
    return Ending::interrupted;
  }

  const PretrainOptions& o_;
  const Device device_;
  OutputFolder& folder_;
  const Dataset& train_;
  const std::optional<Dataset>& evaluation_;
  const std::optional<ResidentPictures> pictures_;
  BatchSource batches_;
  const Schedule schedule_;
  const LossOptions loss_;
  const double collapse_loss_;  // the loss of equal features
  Diagnosis diagnosis_;
  Learner learner_;
  std::unique_ptr<TrainingSteps> steps_;
  NonFiniteSteps non_finite_;
  RunRecord record_;
  StepLog step_log_;
  std::vector<std::optional<HeldOutImages>> trained_before_;  // of the encoder that the run began with
  std::optional<Saver> saver_;  // the last member, because its thread must end before the others are destroyed
};

int pretrain(int argc, char** argv) {
  CommandLine line("Trains an image encoder by supervised contrastive learning (stage one).", "pretrain");
  PretrainFlags flags(line, place_of_settings);
  if (const auto done = line.parse(argc, argv)) return *done;
  const PretrainOptions asked = flags.resolve();  // refuses wrong flags before the set is read
  watch_for_interrupts();
  if (asked.dry_run) {
    dry_run(flags, asked);
    return 0;
  }
  // Before anything else is read: a killed --overwrite may have set the run aside that the file is of.
  if (!flags.config_file().empty()) put_right_folder_of(flags.config_file());
  RunSetup setup(line, flags, asked);
  try {
    Pretraining run(setup);
    RunStart start(setup.options, setup.folder);
    if (const Checkpoint* checkpoint = start.checkpoint(run.config()))
      run.resume(*checkpoint);
    else
      run.begin();
    start.done(run.config(), setup.facts);
    const Ending ending = run.train();
    return static_cast<int>(ending == Ending::interrupted ? ExitCode::interrupted : ExitCode::ok);
  } catch (const OutOfMemory& error) {
    setup.explain(error);
  }
}

const Program pretrain_program("pretrain", "trains an encoder by supervised contrastive learning (stage one)",
                               pretrain);

}  // namespace
}  // namespace kindred
