// How far a run has come and what it has measured, and the files for this: metrics.jsonl, what other programs read
// of it (TensorBoard, spreadsheets), and bad_images.tsv.
#pragma once

#include <kindred/apps/console/progress.h>
#include <kindred/apps/metrics/event_folder.h>
#include <kindred/apps/training/accuracies.h>
#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/apps/training/run/checkpoint.h>
#include <kindred/apps/training/run/epoch_report.h>
#include <kindred/apps/training/training_steps.h>
#include <kindred/data/loading/sample_reader.h>
#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/error.h>

#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kindred {

class RunRecord {
 public:
  // `bad_images` returns the images so far that were not ok. Every one of the processes that train together has a record, and
  // the first one alone writes files.
  RunRecord(const PretrainOptions& options, const Dataset& train, std::int64_t steps_per_epoch,
            std::function<std::vector<BadImage>()> bad_images, const Communicator& processes = world());

  const RunState& state() const { return state_; }
  bool is_finished() const { return state_.is_finished(epochs_, early_stop_); }

  // Starts a new run. The folder may hold files of an earlier run that failed at its start.
  void begin();
  // Resumes from a checkpoint, or from where the first process begins. If the data or the batch size has changed (with --allow-change), the current
  // epoch starts again.
  void resume(const RunState& saved);

  void begin_epoch();
  bool epoch_has_all_steps() const { return state_.batches_done == steps_per_epoch_; }
  // A step on these images has been started. Its result may become known later.
  void begin_step(const std::vector<std::int64_t>& images) { images_.push_back(images); }
  // The images of the oldest step without a result.
  const std::vector<std::int64_t>& images_of_step() const { return images_.front(); }
  // That step is done. `is_update` says whether it updated the model.
  void end_step(const StepResult& step, bool is_update);
  // The nearest-neighbour accuracy before the first step, for the verdict on the run.
  void set_untrained(std::optional<double> accuracy) { state_.untrained = accuracy; }
  // The figures of the epoch's last batch, or null. To be set before a checkpoint in which all of its steps are done.
  void set_features(nlohmann::json features) { state_.features = std::move(features); }
  // No step is in progress any more.
  void end_steps() { progress_.reset(); }
  // The images of the evaluation that were not ok when it was last measured.
  void know_bad_evaluation(std::vector<BadImage> images) { bad_evaluation_ = std::move(images); }
  // Those of the training and of the evaluation that were not ok, so far.
  std::vector<BadImage> bad_images() const;
  // Adds the time of other work in the epoch.
  void add_seconds(double seconds) { state_.seconds += seconds; }

  // Of the epoch's steps, the times become those of the process that waited longest for data: the others wait for it
  // inside of their steps. All processes must make this call.
  void share_times();
  // The report of the epoch whose steps are done.
  EpochReport report(const Accuracies& accuracies, double learning_rate, double chance_loss,
                     bool has_probe) const;
  // Ends the epoch: writes its line and begins the next epoch. The epoch with the highest score is kept as
  // the best (RunState::is_improved_by); one without a score is no candidate. Returns true if this one is the best so far.
  // Only an epoch whose figure is measured may end the run early. If the best one so far was chosen by another kind of
  // figure, or on other images, it stays until one of this kind is measured on these; then the comparison starts anew,
  // and a line says so.
  bool end_epoch(const EpochReport& report, const EpochFigure& figure);
  // The best epoch so far, counted from 1, if there is one and it is known.
  std::optional<std::int64_t> best_epoch() const;
  // True if every step of the epochs so far was skipped.
  bool has_learned_nothing() const;
  // True if so many of the latest steps were skipped in a row that the present weights give no finite loss.
  bool has_diverged() const;
  // Why the weights are of no use, for an error; empty if they are.
  std::string failure() const;

  // Writes the files. A full disk does not end the run, because they are written again later from memory.
  void write_files();
  // The same at the end of a run. Throws Error(io).
  void write_files_for_sure();
  // For the handler of an error that ends the run: lists the images that were not ok and throws the error again. An
  // error of the data names the list. If an earlier run `comes_back`, which has a list of its own, this one gets
  // another name.
  [[noreturn]] void rethrow_with_list(const Error& error, bool comes_back) const;

 private:
  void write_for_other_programs();
  // The mean of the epochs so far, whose lines say it; nothing if there are none.
  std::optional<double> seconds_an_epoch() const;
  double data_wait() const { return state_.wait_seconds / (state_.wait_seconds + state_.step_seconds); }

  const Communicator& processes_;
  const std::filesystem::path out_;
  const std::int64_t epochs_, early_stop_, steps_per_epoch_, views_per_step_;
  const bool classifies_;     // the loss is of a classifier
  const std::string advice_;  // what may help if a loss or a gradient is not finite
  const std::function<std::vector<BadImage>()> bad_images_;
  std::vector<BadImage> bad_evaluation_{};
  std::vector<std::string> known_bad_;  // lines of bad_images.tsv written before this process
  std::size_t bad_told_ = 0;            // how many bad images the last line about them counted
  RunState state_;
  std::deque<std::vector<std::int64_t>> images_;  // of the steps whose results are not known yet
  std::optional<Progress> progress_;              // of the current epoch
  double lap_ = 0;                                // when the last step was known to be done
  bool files_are_stale_ = false;                  // metrics.jsonl must be rewritten completely
  const bool has_csv_;
  bool others_are_stale_ = false;  // the files for other programs could not be written
  std::optional<EventFolder> events_;
};

}  // namespace kindred
