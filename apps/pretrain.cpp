// Stage one: trains an encoder with a contrastive loss. The algorithm is in train(), train_epoch() and, for one
// batch, Learner::step. What a run saves and reports is in apps/training/run.
//
// Several processes that train together all run this, each on its share of every batch. What depends on a signal or on time
// they agree on, so that all do the same at the same step; the first one alone reads and writes the run's files
// (apps/training/run/shared).
#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/images/evaluated_on.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/messages/quiet.h>
#include <kindred/apps/console/messages/step_log.h>
#include <kindred/apps/evaluation/seen_images.h>
#include <kindred/apps/processes/start.h>
#include <kindred/apps/training/announcement.h>
#include <kindred/apps/training/batch_source.h>
#include <kindred/apps/training/diagnosis.h>
#include <kindred/apps/training/run/classifier/classifier_result.h>
#include <kindred/apps/training/run/non_finite_steps.h>
#include <kindred/apps/training/run/run_record.h>
#include <kindred/apps/training/run/saver.h>
#include <kindred/apps/training/run/shared/between_steps.h>
#include <kindred/apps/training/run/shared/shared_start.h>
#include <kindred/apps/training/run/start.h>
#include <kindred/apps/training/run/verdict/verdict.h>
#include <kindred/apps/training/setup/run_setup.h>
#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/communicator/time_limit.h>

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
        diagnosis_(loss_, train_.classes(), !freezes_encoder(o_)),
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
    continues_ = true;
  }

  // To be called when the first process has begun or resumed: the others go on from there too.
  void share_start() {
    share_tensors(processes_, learner_.model().store, learner_.state());
    const RunState state = state_of_first(processes_, record_.state());
    if (processes_.is_first()) return;
    learner_.restored();
    record_.resume(state);
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
    bool goes_on = agreed_interrupt_signal(processes_) == 0;
    for (std::int64_t step = at.steps_done; goes_on && batches_.next(); ++step) {
      if (o_.skips_nonfinite()) learner_.remember();
      const WholeBatch whole = whole_batch(processes_, batches_);
      diagnosis_.see(whole.labels, whole.indices, whole.drawn);
      record_.begin_step(whole.indices);
      const std::vector<std::int32_t> labels = view_labels(o_, batches_.labels(), batches_.indices());
      take(steps_->run(batches_.bytes(), labels, schedule_.at(step)));  // Learner::step
      goes_on = save_if_due();
    }
    finish_steps();
    record_.end_steps();
    return record_.epoch_has_all_steps();
  }

  // To be called after a step. Returns false if a signal asks the run to end.
  bool save_if_due() {
    const bool is_due = saver_ && saver_->is_due(record_.state().steps_done);
    const BetweenSteps agreed = agree_between_steps(processes_, is_due);
    if (agreed.saves) {
      finish_steps();
      batches_.share_bad_images(processes_);
      first_alone(processes_, [this] { saver_->save(); });
    }
    return !agreed.ends;
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
    if (agreed_interrupt_signal(processes_)) return false;
    record_.add_seconds(now_seconds() - start);
    batches_.share_bad_images(processes_);
    record_.share_times();

    const double rate = schedule_.at(record_.state().steps_done - 1);
    EpochReport report = record_.report(accuracies, rate, collapse_loss_, learner_.online_probe() != nullptr);
    if (const GradientSums* sums = learner_.gradient_sums()) {
      report.gradients = sums->figures().since(gradients_told_);
      gradients_told_ = sums->figures();
    }
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
    first_alone(processes_, [&] {
      const bool would_replace = folder_.replaces() && !record_.failure().empty();
      if (!record_.is_finished() && !would_replace) saver_->after_epoch(is_best);
    });
    return true;
  }

  void announce() {
    announce_run(o_, train_, batches_, schedule_, learner_, loss_, collapse_loss_);
    if (processes_.is_first())
      saver_.emplace(
          o_, record_.state().steps_done,
          [this] { return Checkpoint(learner_.model().store, learner_.state(), record_.state()); },
          [this] { folder_.saved(); }, train_.class_names(), held_out_of(train_), trained_before_);
    if (!record_.is_finished()) return;
    fmt::print("the run is finished already\n");
    is_whole_already_ = continues_ && has_all_files(o_, record_.state());
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
    if (agreed_interrupt_signal(processes_)) return false;
    first_alone(processes_, [&] {
      write_classifier_result(o_, scores, record_.state().epochs_done, train_, *evaluation_);
    });
    return true;
  }

  Ending end_finished() {
    results_follow();
    const std::string failure = record_.failure();
    first_alone(processes_, [&] {
      const bool would_replace = folder_.replaces() && !failure.empty();  // a good run
      if (!would_replace && !is_whole_already_) save_for_sure();
    });
    if (failure.empty() && loss_.classifies() && !finish_classifier()) return end_interrupted();
    fmt::print("{}", closing_files(o_, batches_.bad_images().size(), record_.best_epoch()));
    check(failure.empty(), ExitCode::non_finite, "{}", failure);
    fmt::print("{}", closing_lines(o_, record_.state(), record_.best_epoch(), train_, evaluation_));
    return Ending::finished;
  }

  Ending end_interrupted() {
    results_follow();
    batches_.share_bad_images(processes_);
    first_alone(processes_, [this] {
      if (!continues_ && record_.state().steps_done == 0) {  // an untrained model is no run, and replaces none
        fmt::print("{}: no step was done, and nothing was saved\n", interrupt_name());
        return;
      }
      save_for_sure();
      fmt::print("{}: a checkpoint of step {} was saved; the same command with --resume continues the run\n",
                 interrupt_name(), record_.state().steps_done);
    });
    return Ending::interrupted;
  }

  const Communicator& processes_ = world();
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
  GradientSums::Figures gradients_told_;                      // at the end of the last epoch
  std::vector<std::optional<HeldOutImages>> trained_before_;  // of the encoder that the run began with
  bool continues_ = false;                                    // in the first process: from a checkpoint
  bool is_whole_already_ =
      false;  // the run was finished before, and its files are there: a full disk is no matter
  // Of the first process. The last member, because its thread must end before the others are destroyed.
  std::optional<Saver> saver_;
};

int pretrain(int argc, char** argv) {
  CommandLine line("Trains an image encoder by supervised contrastive learning (stage one).", "pretrain");
  PretrainFlags flags(line, place_of_settings);
  if (const auto done = line.parse(argc, argv)) return *done;
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
    check_same_everywhere(world(), run.config());
    first_alone(world(), [&] {
      RunStart start(setup.options, setup.folder);
      if (const Checkpoint* checkpoint = start.checkpoint(run.config()))
        run.resume(*checkpoint);
      else
        run.begin();
      start.done(run.config(), setup.facts);
    });
    run.share_start();
    patience.reset();
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
