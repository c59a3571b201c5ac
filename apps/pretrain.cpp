// Stage one: trains an encoder with a contrastive loss. The algorithm is in train(), train_epoch() and, for one
// batch, Learner::step. What a run saves and reports is in apps/training/run.
#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/known_plans.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/process_memory.h>
#include <kindred/apps/training/batch_source.h>
#include <kindred/apps/training/diagnosis.h>
#include <kindred/apps/training/dry_run/memory_check.h>
#include <kindred/apps/training/dry_run/time_prediction.h>
#include <kindred/apps/training/options/set_defaults.h>
#include <kindred/apps/training/run/non_finite_steps.h>
#include <kindred/apps/training/run/run_record.h>
#include <kindred/apps/training/run/same_run.h>
#include <kindred/apps/training/run/saver.h>
#include <kindred/apps/training/run/start.h>
#include <kindred/apps/training/training_data.h>
#include <kindred/models/weights_file.h>

namespace kindred {
namespace {

enum class Ending { finished, interrupted };

class Pretraining {
 public:
  Pretraining(const PretrainOptions& options, Device device, Dataset train, std::optional<Dataset> evaluation,
              const std::optional<ResidentPictures>& pictures, OutputFolder& folder)
      : o_(options),
        device_(device),
        folder_(folder),
        train_(std::move(train)),
        evaluation_(std::move(evaluation)),
        batches_(o_, train_, pictures),
        schedule_(make_schedule(o_, batches_.batches_per_epoch())),
        loss_(loss_options(o_)),
        collapse_loss_(collapse_loss(loss_, o_.batch_size, train_.classes(),
                                     same_class_share(train_.labels(), train_.classes()))),
        diagnosis_(loss_, train_.classes()),
        learner_(o_, device_, train_.classes()),
        steps_(make_training_steps(o_, device_, learner_, pictures)),
        non_finite_(o_, train_, learner_, *steps_),
        record_(o_, train_, batches_.batches_per_epoch(), [this] { return batches_.bad_images(); }) {}

  // The content of config.json: the settings and what they are applied to.
  nlohmann::json config() const {
    nlohmann::json config = o_.to_json();
    config["images"] = train_.size();
    config["data_fingerprint"] = record_.state().data;
    return config;
  }

  // Starts a new run. Weights from a file replace the random initial weights.
  void begin() {
    record_.begin();
    if (o_.weights.empty()) return;
    fmt::print("{}\n", load_weights(o_.weights, learner_.model().store).to_string());
    learner_.weights_changed();
  }

  void resume(const Checkpoint& checkpoint) {
    checkpoint.restore(learner_.model().store, learner_.state());
    learner_.restored();
    record_.resume(checkpoint.run());
  }

  // For each epoch, for each batch: draw views, embed them, compute the loss, run backward, update.
  Ending train() {
    announce();
    try {
      if (!record_.is_finished()) batches_.look_at_headers();
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
    take(steps_->finish());
    const StepOutputs& last = steps_->outputs();  // undefined before this process's first step
    const bool is_whole = record_.epoch_has_all_steps();
    record_.end_steps(is_whole && last.features.defined() ? diagnosis_.look_at(last.features, last.positives)
                                                          : nlohmann::json());
    return is_whole;
  }

  // Takes the results of finished steps. A GPU's results become known only after later steps have been started.
  void take(const std::vector<StepResult>& results) {
    for (const StepResult& result : results)
      record_.end_step(result, non_finite_.is_update(result, record_.state(), record_.images_of_step()));
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
    diagnosis_.finish_epoch(epoch, report.loss, collapse_loss_);
    fmt::print("{}\n", report.to_string());
    if (!diagnosis_.line().empty()) fmt::print("  {}\n", diagnosis_.line());
    for (const std::string& warning : diagnosis_.warnings()) fmt::print("warning: {}\n", warning);
    std::fflush(stdout);

    const bool by_neighbours = evaluation_ && o_.knn_every > 0;
    std::optional<double> score;  // of an epoch in which the model has learned
    if (report.loss) score = by_neighbours ? report.neighbours.value_or(-1) : -*report.loss;
    const bool is_best = record_.end_epoch(report, score);
    const bool would_replace = folder_.replaces() && record_.has_learned_nothing();
    if (!record_.is_finished() && !would_replace) saver_->after_epoch(is_best);
    return true;
  }

  void announce() {
    const std::int64_t steps = batches_.batches_per_epoch();
    fmt::print("{} images in {} classes, {} an epoch, learning rate {}\n", train_.size(), train_.classes(),
               steps == 1 ? "1 step" : fmt::format("{} steps", steps), schedule_.to_string());
    fmt::print("{}: {} parameters; {:.3f} is the loss of {}\n", o_.model,
               learner_.model().store.parameter_count(), collapse_loss_,
               loss_.classifies() ? "equal scores" : "features that are all the same");
    for (const std::string& warning :
         warnings_at_start(loss_, train_.labels(), o_.precision.compute != DType::f32))
      fmt::print("warning: {}\n", warning);
    if (batches_.stays_on_gpu()) fmt::print("the training images stay on the GPU, which makes the views\n");
    saver_.emplace(
        o_, record_.state().steps_done,
        [this] {
          take(steps_->finish());  // a GPU may have finished steps whose results have not been read
          return Checkpoint(learner_.model().store, learner_.state(), record_.state());
        },
        [this] { folder_.saved(); });
    if (record_.is_finished()) fmt::print("the run is finished already\n");
  }

  void save_for_sure() {
    saver_->save_for_sure();
    record_.write_files_for_sure();
    if (device_ == Device::cuda) save_plans(std::filesystem::path(o_.out) / "plans.json");
  }

  Ending end_finished() {
    if (!folder_.replaces() || !record_.has_learned_nothing()) save_for_sure();  // it would replace a good run
    const std::filesystem::path out = o_.out;
    if (const auto bad = batches_.bad_images(); !bad.empty())
      fmt::print("{} images could not be read or are damaged; they are listed in {}\n", bad.size(),
                 (out / "bad_images.tsv").string());
    fmt::print("encoder: {}\n", (out / "encoder.safetensors").string());
    fmt::print("peak memory of the process: {}\n", format_bytes(static_cast<double>(peak_resident_bytes())));
    check(!record_.has_learned_nothing(), ExitCode::non_finite,
          "the run has learned nothing: every step was skipped, because its loss or a gradient was not finite; "
          "try a "
          "lower --lr or a higher --temperature");
    return Ending::finished;
  }

  Ending end_interrupted() {
    if (folder_.replaces() && record_.state().steps_done == 0) {  // an untrained model replaces no run
      fmt::print("{}: no step was done, and nothing was saved\n", interrupt_name());
      return Ending::interrupted;
    }
    save_for_sure();
    fmt::print("{}: a checkpoint of step {} was saved; the same command with --resume continues the run\n",
               interrupt_name(), record_.state().steps_done);
    return Ending::interrupted;
  }

  const PretrainOptions o_;
  const Device device_;
  OutputFolder& folder_;
  const Dataset train_;
  const std::optional<Dataset> evaluation_;
  BatchSource batches_;
  const Schedule schedule_;
  const LossOptions loss_;
  const double collapse_loss_;  // the loss of equal features
  Diagnosis diagnosis_;
  Learner learner_;
  std::unique_ptr<TrainingSteps> steps_;
  NonFiniteSteps non_finite_;
  RunRecord record_;
  std::optional<Saver> saver_;  // the last member, because its thread must end before the others are destroyed
};

// The options, of which some depend on the training images.
PretrainOptions resolve_for(const PretrainFlags& flags, const PretrainOptions& asked, Device device,
                            const Dataset& train) {
  const nlohmann::json earlier =
      asked.resume && holds_run(asked.out) ? settings_of_run(asked.out) : nlohmann::json();
  const PretrainOptions options = flags.resolve(choose_defaults(flags, asked, device, train, earlier));
  check_training_set(options, train);
  return options;
}

int pretrain(int argc, char** argv) {
  CommandLine line("Trains an image encoder by supervised contrastive learning (stage one).", "pretrain");
  PretrainFlags flags(line);
  if (const auto done = line.parse(argc, argv)) return *done;
  const PretrainOptions asked = flags.resolve();  // refuses wrong flags before the set is read
  watch_for_interrupts();
  if (!asked.gpu.empty()) {
    const Dataset train = *asked.data.open(Split::train);
    print_notes(train);
    predict(resolve_for(flags, asked, Device::cuda, train), train);
    return 0;
  }
  const DeviceChoice device = choose_device(asked.device);
  report_device(device, asked.precision);
  // First of all that is read, because a killed process may have left something to put right; and the last to
  // end, when nothing writes to it any more.
  std::optional<OutputFolder> folder;
  if (!asked.dry_run) folder.emplace(asked.out, FolderOf::run, existing_run(asked));
  const std::filesystem::path plans = std::filesystem::path(asked.out) / "plans.json";
  const KnownPlans known_plans(device,
                               {.deterministic = asked.deterministic, .allow_tf32 = asked.precision.tf32},
                               asked.resume ? plans : std::filesystem::path());

  const Dataset train = *asked.data.open(Split::train);
  print_notes(train);
  const PretrainOptions options = resolve_for(flags, asked, device.device, train);
  if (options.dry_run) {
    const MemoryPrediction memory = predict_memory(options, device.device, train.classes());
    fmt::print("{}", describe(memory, other_memory(options, train, memory.parameters), device.device));
    return 0;
  }
  const auto evaluation = options.data.open(Split::evaluation);
  if (!evaluation)
    fmt::print("no val or test images in {}: no nearest-neighbour figure; {}\n", options.data.path,
               no_evaluation_advice);
  else
    print_notes(*evaluation, &train);
  check_memory(options, device.device, train);
  try {
    Pretraining run(options, device.device, train, evaluation, pictures_for_gpu(options, device.device, train),
                    *folder);
    RunStart start(options, *folder);
    if (const Checkpoint* checkpoint = start.checkpoint(run.config()))
      run.resume(*checkpoint);
    else
      run.begin();
    start.done(run.config());
    const Ending ending = run.train();
    return static_cast<int>(ending == Ending::interrupted ? ExitCode::interrupted : ExitCode::ok);
  } catch (const OutOfMemory& error) {
    explain_out_of_memory(error, options, device.device, train);  // the run's memory is free again
  }
}

}  // namespace
}  // namespace kindred

int main(int argc, char** argv) {
  return kindred::run_main(argc, argv, kindred::pretrain);
}
