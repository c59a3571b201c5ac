// Stage one: trains an encoder by contrast. See train_epoch() for the algorithm; the rest is bookkeeping.
#include <kindred/apps/common/accuracies.h>
#include <kindred/apps/common/command_line.h>
#include <kindred/apps/common/device_report.h>
#include <kindred/apps/common/diagnosis.h>
#include <kindred/apps/common/interrupt.h>
#include <kindred/apps/common/known_plans.h>
#include <kindred/apps/common/main.h>
#include <kindred/apps/common/memory_plan.h>
#include <kindred/apps/common/non_finite.h>
#include <kindred/apps/common/pretrain_options.h>
#include <kindred/apps/common/progress.h>
#include <kindred/apps/common/run_folder.h>
#include <kindred/apps/common/same_run.h>
#include <kindred/apps/common/saver.h>
#include <kindred/apps/common/time_plan.h>
#include <kindred/apps/common/training_data.h>
#include <kindred/apps/common/training_steps.h>
#include <kindred/data/loader.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/memory.h>
#include <kindred/engine/plan_book.h>
#include <kindred/engine/schedule.h>
#include <kindred/models/weights_file.h>

#include <fmt/ranges.h>  // defines: fmt::join

#include <cmath>
#include <deque>
#include <limits>
#include <utility>

namespace kindred {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> run_files = {
    "config.json",    "metrics.jsonl",   "encoder.safetensors", "checkpoint.safetensors",
    "bad_images.tsv", "non_finite.json", "plans.json"};
constexpr int most_skipped_in_a_row = 50;

enum class Ending { finished, interrupted };

class Run {
 public:
  Run(const PretrainOptions& options, Device device, Dataset train, std::optional<Dataset> evaluation)
      : o_(options),
        device_(device),
        out_(o_.out),
        train_(std::move(train)),
        evaluation_(std::move(evaluation)),
        loader_(train_, training_loader(o_)),
        steps_per_epoch_(loader_.batches_per_epoch()),
        schedule_(schedule_of(o_, steps_per_epoch_)),
        loss_(loss_options(o_)),
        collapse_loss_(collapse_loss(loss_, o_.batch_size, train_.classes(),
                                     same_class_share(train_.labels(), train_.classes()))),
        diagnosis_(loss_, train_.classes()),
        learner_(o_, device_, train_.classes()) {
    std::optional<ResidentPictures> pictures;
    if (device_ == Device::cuda && !o_.skip_nonfinite)
      pictures = resident_pictures(train_, training_loader(o_), most_resident_bytes);
    if (pictures) resident_.emplace(train_, training_loader(o_), pictures->height, pictures->width);
    steps_ = make_training_steps(o_, device_, learner_, pictures);
    state_.data = data_fingerprint(train_);
  }

  // What stands in config.json: the settings, and what they are applied to.
  nlohmann::json config() const {
    nlohmann::json config = o_.to_json();
    config["images"] = train_.size();
    config["data_fingerprint"] = state_.data;
    return config;
  }

  // A run that begins with weights from a file: they replace what was drawn.
  void begin() {
    reports_are_stale_ = true;  // of an earlier run that came to nothing
    if (o_.weights.empty()) return;
    fmt::print("{}\n", load_weights(o_.weights, learner_.model().store).to_string());
    learner_.weights_changed();
  }

  void resume(const Checkpoint& checkpoint) {
    checkpoint.restore(learner_.model().store, learner_.state());
    learner_.restored();
    const std::string data = state_.data;
    state_ = checkpoint.run();
    // Another data set or batch size, allowed by --allow-change: begin the epoch that was under way anew.
    if (state_.data != data ||
        state_.steps_done != state_.epochs_done * steps_per_epoch_ + state_.batches_done) {
      state_.begin_epoch();
      state_.steps_done = state_.epochs_done * steps_per_epoch_;
      state_.data = data;
    }
    known_bad_ = read_lines(out_ / "bad_images.tsv");
    reports_are_stale_ = true;  // a run that was killed may have been further
    write_reports();
  }

  Ending train() {
    fmt::print("{} images in {} classes, {} an epoch, learning rate {}\n", train_.size(), train_.classes(),
               steps_per_epoch_ == 1 ? "1 step" : fmt::format("{} steps", steps_per_epoch_),
               schedule_.to_string());
    fmt::print("{}: {} parameters; a loss of {:.3f} is that of {}\n", o_.model,
               learner_.model().store.parameter_count(), collapse_loss_,
               loss_.classifies() ? "equal scores" : "features that are all the same");
    for (const std::string& warning :
         warnings_at_start(loss_, train_.labels(), o_.precision.compute != DType::f32))
      fmt::print("warning: {}\n", warning);
    if (resident_) fmt::print("the training images stay on the GPU, which makes the views\n");
    saver_.emplace(o_, state_.steps_done, [this] {
      take(steps_->finish());  // a GPU may be ahead of what is known here
      return Checkpoint(learner_.model().store, learner_.state(), state_);
    });
    if (state_.epochs_done >= o_.epochs) fmt::print("the run is finished already\n");
    while (state_.epochs_done < o_.epochs)
      if (!train_epoch() || !finish_epoch()) return end_interrupted();
    save_for_sure();
    if (const auto bad = loader_.bad_images(); !bad.empty())
      fmt::print("{} images could not be read or are damaged; they are listed in {}\n", bad.size(),
                 (out_ / "bad_images.tsv").string());
    fmt::print("encoder: {}\n", (out_ / "encoder.safetensors").string());
    fmt::print("peak memory of the process: {}\n", format_bytes(static_cast<double>(peak_resident_bytes())));
    return Ending::finished;
  }

 private:
  // The algorithm: draw views, embed them, pull together what belongs together, update. False when interrupted.
  bool train_epoch() {
    const std::string what = fmt::format("epoch {}/{}", state_.epochs_done + 1, o_.epochs);
    progress_.emplace(what, steps_per_epoch_ - state_.batches_done, "views");
    const auto epoch = static_cast<std::uint32_t>(state_.epochs_done);
    steps_->begin();
    lap_ = now_seconds();
    std::int64_t step = state_.steps_done;
    if (resident_) {
      resident_->start_epoch(epoch, state_.batches_done);
      for (ResidentBatch batch; !interrupt_signal() && resident_->next(batch); ++step)
        run_step(step, batch.bytes(), batch.labels, batch.indices);
    } else {
      loader_.start_epoch(epoch, state_.batches_done);
      for (Batch batch; !interrupt_signal() && loader_.next(batch); ++step)
        run_step(step, batch.images, batch.labels, batch.indices);
    }
    take(steps_->finish());
    progress_.reset();
    const StepOutputs& last = steps_->outputs();  // nothing before this process made a step
    if (state_.batches_done == steps_per_epoch_ && last.features.defined())
      state_.features = diagnosis_.look_at(last.features, last.positives);
    return state_.batches_done == steps_per_epoch_;
  }

  void run_step(std::int64_t step, std::span<const std::uint8_t> batch, const std::vector<std::int32_t>& labels,
                const std::vector<std::int64_t>& indices) {
    if (o_.skip_nonfinite) learner_.remember();
    diagnosis_.see(labels, indices);
    shown_.push_back(indices);
    take(steps_->run(batch, view_labels(o_, labels, indices), schedule_.at(step)));
    saver_->after_step(state_.steps_done);
  }

  // What is known of steps once they are done. A GPU's come when later ones have begun.
  void take(const std::vector<StepResult>& steps) {
    for (const StepResult& step : steps) take(step);
  }

  void take(const StepResult& step) {
    if (step.non_finite == Optimizer::none) {
      state_.loss_sum += step.loss;
      state_.probe_loss_sum += step.probe_loss;
      skipped_in_a_row_ = 0;
    } else {
      handle_non_finite(step);
    }
    shown_.pop_front();
    ++state_.steps_done;
    ++state_.batches_done;
    const double now = now_seconds();
    state_.step_seconds += step.step_seconds;
    state_.wait_seconds += step.wait_seconds;
    state_.seconds += now - lap_;
    lap_ = now;
    if (progress_)
      progress_->advance(o_.views * o_.batch_size,
                         fmt::format("loss {:.4f}  waiting for data {:.0f} %", step.loss, 100 * data_wait()));
  }

  double data_wait() const { return state_.wait_seconds / (state_.wait_seconds + state_.step_seconds); }

  // The nearest-neighbour figure, the epoch's line, a checkpoint. False when interrupted: the epoch is finished
  // by the run that goes on.
  bool finish_epoch() {
    const double start = now_seconds();
    const std::int64_t epoch = state_.epochs_done + 1;
    const bool due = o_.knn_every > 0 && (epoch % o_.knn_every == 0 || epoch == o_.epochs);
    Accuracies accuracies;
    if (evaluation_ && due) accuracies = measure_accuracies(learner_, o_, device_, train_, *evaluation_);
    const std::optional<double>& neighbours = accuracies.neighbours;
    if (interrupt_signal()) return false;
    state_.seconds += now_seconds() - start;
    const auto updates = static_cast<double>(std::max<std::int64_t>(1, steps_per_epoch_ - state_.skipped));
    const double loss = state_.loss_sum / updates;
    const auto views = static_cast<double>(steps_per_epoch_ * o_.views * o_.batch_size);
    state_.metrics.push_back({{"epoch", epoch},
                              {"loss", loss},
                              {"chance_loss", collapse_loss_},
                              {"lr", schedule_.at(state_.steps_done - 1)},
                              {"views_per_second", views / state_.seconds},
                              {"step_views_per_second", views / state_.step_seconds},
                              {"data_wait", data_wait()},
                              {"knn_top1", neighbours ? nlohmann::json(*neighbours) : nlohmann::json()}});
    state_.metrics.back()["features"] = std::exchange(state_.features, nullptr);
    diagnosis_.finish_epoch(epoch, loss, collapse_loss_);
    std::string shown = neighbours ? fmt::format("neighbours {:.3f}  ", *neighbours) : "";
    if (learner_.online_probe() != nullptr) {
      state_.metrics.back()["probe_loss"] = state_.probe_loss_sum / updates;
      state_.metrics.back()["probe_top1"] =
          accuracies.probe ? nlohmann::json(*accuracies.probe) : nlohmann::json();
      if (accuracies.probe) shown += fmt::format("probe {:.3f}  ", *accuracies.probe);
    }
    if (state_.skipped > 0) state_.metrics.back()["skipped_steps"] = state_.skipped;
    fmt::print("epoch {}/{}  loss {:.4f} (chance {:.3f})  {}{:.0f} views/s  waiting for data {:.0f} %\n", epoch,
               o_.epochs, loss, collapse_loss_, shown, views / state_.seconds, 100 * data_wait());
    if (!diagnosis_.line().empty()) fmt::print("  {}\n", diagnosis_.line());
    for (const std::string& warning : diagnosis_.warnings()) fmt::print("warning: {}\n", warning);
    std::fflush(stdout);

    const double score = evaluation_ && o_.knn_every > 0 ? neighbours.value_or(-1) : -loss;
    const bool is_best = score > state_.best.value_or(-std::numeric_limits<double>::infinity());
    if (is_best) state_.best = score;
    ++state_.epochs_done;
    state_.begin_epoch();
    write_reports();
    if (state_.epochs_done < o_.epochs) saver_->after_epoch(is_best);
    return true;
  }

  // Steps whose loss or gradient is not finite. The optimizer made no update from it and makes none until its
  // flag is cleared.

  void handle_non_finite(const StepResult& result) {
    const std::string what = describe_non_finite(result);
    check(o_.skip_nonfinite, ExitCode::non_finite,
          "{}; no update was made from it; try a lower --lr or a higher --temperature, or --on-nonfinite skip",
          what);
    ++skipped_in_a_row_;
    check(skipped_in_a_row_ < most_skipped_in_a_row, ExitCode::non_finite,
          "{}; {} steps in a row were skipped for that; try a lower --lr or a higher --temperature", what,
          skipped_in_a_row_);
    fmt::print("warning: {}; the step is skipped\n", what);
    learner_.take_back();
    learner_.optimizer().clear_non_finite();
    ++state_.skipped;
  }

  // Names the step, the layer and the images, and writes RUN/non_finite.json with all of them.
  std::string describe_non_finite(const StepResult& result) {
    NonFiniteStep step{state_.steps_done + 1,
                       state_.epochs_done + 1,
                       state_.batches_done + 1,
                       result.loss,
                       first_non_finite(learner_.model().store),
                       {},
                       {}};
    learner_.trace(steps_->inputs_of(result.step),
                   [&](const Tape& tape, std::int64_t first, std::int64_t rows) {
                     if (step.source.layer.empty()) step.source = find_non_finite(tape, rows, first);
                   });
    for (const std::int64_t index : shown_.front()) step.images.push_back(train_.name(index));
    return report_non_finite(step, out_ / "non_finite.json");
  }

  // metrics.jsonl and bad_images.tsv. They can be written again from what is in memory, so a full disk ends no
  // run.
  void write_reports() {
    try {
      if (reports_are_stale_)
        write_json_lines(out_ / "metrics.jsonl", state_.metrics);
      else
        append_json_line(out_ / "metrics.jsonl", state_.metrics.back());
      write_bad_images(out_ / "bad_images.tsv", loader_.bad_images(), known_bad_);
      reports_are_stale_ = false;
    } catch (const Error& error) {
      reports_are_stale_ = true;
      fmt::print("warning: {}; tried again after the next epoch\n", error.what());
    }
  }

  void save_for_sure() {
    saver_->save_for_sure();
    if (reports_are_stale_) write_json_lines(out_ / "metrics.jsonl", state_.metrics);
    write_bad_images(out_ / "bad_images.tsv", loader_.bad_images(), known_bad_);
    if (device_ == Device::cuda) plan_book().save(out_ / "plans.json", gpu().probe().reason);
  }

  Ending end_interrupted() {
    save_for_sure();
    fmt::print("{}: a checkpoint of step {} was saved; the same command with --resume goes on\n",
               interrupt_name(), state_.steps_done);
    return Ending::interrupted;
  }

  const PretrainOptions o_;
  const Device device_;
  const fs::path out_;
  const Dataset train_;
  const std::optional<Dataset> evaluation_;
  Loader loader_;
  const std::int64_t steps_per_epoch_;
  const Schedule schedule_;
  const LossOptions loss_;
  const double collapse_loss_;  // of features that are all alike
  Diagnosis diagnosis_;
  Learner learner_;
  std::optional<ResidentBatches> resident_;  // where the data set stays on the GPU: instead of the loader
  std::unique_ptr<TrainingSteps> steps_;
  std::deque<std::vector<std::int64_t>> shown_;  // the images of the steps whose results are not known yet
  std::optional<Progress> progress_;             // of the epoch under way
  double lap_ = 0;                               // when the last step was known to be done
  RunState state_;
  std::vector<std::string> known_bad_;  // lines of bad_images.tsv from before this process
  int skipped_in_a_row_ = 0;
  bool reports_are_stale_ = false;
  std::optional<Saver> saver_;  // the last: its thread ends before the rest goes
};

// Finds where the run in `out` stands and tells it. Refuses a run of other settings.
void go_on(Run& run, const PretrainOptions& options, CheckpointFolder& checkpoints) {
  const std::vector<std::string> changes = changed_settings(options.out, run.config());
  check(changes.empty() || options.allow_change, ExitCode::usage,
        "--resume: the run in {} was started otherwise: {}; give the same flags and data, another --out, or "
        "--allow-change",
        options.out, fmt::join(changes, "; "));
  for (const std::string& change : changes) fmt::print("changed: {}\n", change);
  const CheckpointFolder::Found found = checkpoints.newest_valid();
  for (const std::string& reason : found.reasons) fmt::print("warning: passed over: {}\n", reason);
  if (found.newest) {
    run.resume(*found.newest);
    const RunState& at = found.newest->run();
    fmt::print("going on from {}: step {}, epoch {}, batch {}\n", found.path.string(), at.steps_done,
               at.epochs_done + 1, at.batches_done + 1);
  } else {
    fmt::print("no checkpoint that can be used in {}: the run starts anew\n", options.out);
    run.begin();
  }
  checkpoints.set_aside(found);
  const bool is_finished = found.newest && found.newest->run().epochs_done >= options.epochs;
  if (!changes.empty() && !is_finished) write_json(fs::path(options.out) / "config.json", run.config());
}

int pretrain(int argc, char** argv) {
  CLI::App app("Trains an image encoder by supervised contrastive learning (stage one).", "pretrain");
  PretrainFlags flags(app);
  if (const auto done = parse_command_line(app, argc, argv)) return *done;
  const PretrainOptions options = flags.resolve();
  watch_for_interrupts();
  if (!options.gpu.empty()) {
    predict(options, open_training_set(options));
    return 0;
  }
  const DeviceChoice device = choose_device(options.device);
  report_device(device, options.precision);
  const KnownPlans known_plans(device, {options.deterministic, options.precision.tf32},
                               options.resume ? fs::path(options.out) / "plans.json" : fs::path());

  const Dataset train = open_training_set(options);
  if (options.dry_run) {
    const MemoryPlan plan = plan_memory(options, device.device, train.classes());
    fmt::print("{}", describe(plan, other_memory(options, train, plan.parameters), device.device));
    return 0;
  }
  const auto evaluation = options.data.open(Split::evaluation);
  if (!evaluation)
    fmt::print("no val or test images in {}: no nearest-neighbour figure; {}\n", options.data.path,
               no_evaluation_advice);

  const auto existing = options.resume      ? ExistingRun::resume
                        : options.overwrite ? ExistingRun::overwrite
                                            : ExistingRun::refuse;
  try {
    Run run(options, device.device, train, evaluation);
    const bool found = check_run_folder(options.out, existing, run_files);
    const RunLock lock(options.out);  // before anything is removed: another process may be at it
    CheckpointFolder checkpoints(options.out, static_cast<int>(options.keep_checkpoints));
    if (options.overwrite) {
      clear_run_folder(options.out, run_files);
      checkpoints.clear();
    }
    const bool has_config = fs::exists(fs::path(options.out) / "config.json");
    check(
        !found || has_config || checkpoints.candidates().empty(), ExitCode::file,
        "--resume: {} has checkpoints but no config.json, which says what they are of; bring it back, or give "
        "--overwrite to start anew",
        options.out);
    if (found && has_config) {
      go_on(run, options, checkpoints);
    } else {
      run.begin();
      write_json(fs::path(options.out) / "config.json", run.config());
    }
    const Ending ending = run.train();
    return static_cast<int>(ending == Ending::interrupted ? ExitCode::interrupted : ExitCode::ok);
  } catch (const OutOfMemory& error) {
    explain_out_of_memory(error, options, device.device, train.classes());  // what the run had is free again
  }
}

}  // namespace
}  // namespace kindred

int main(int argc, char** argv) {
  return kindred::run_main(argc, argv, kindred::pretrain);
}
