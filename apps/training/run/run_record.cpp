#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/training/run/run_folder.h>
#include <kindred/apps/training/run/run_record.h>
#include <kindred/apps/training/run/same_run.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace kindred {

RunRecord::RunRecord(const PretrainOptions& options, const Dataset& train, std::int64_t steps_per_epoch,
                     std::function<std::vector<BadImage>()> bad_images)
    : out_(options.out),
      epochs_(options.epochs),
      steps_per_epoch_(steps_per_epoch),
      views_per_step_(options.views * options.batch_size),
      bad_images_(std::move(bad_images)) {
  state_.data = data_fingerprint(train);
}

void RunRecord::resume(const RunState& saved) {
  const std::string data = state_.data;
  state_ = saved;
  if (state_.data != data || state_.steps_done != state_.epochs_done * steps_per_epoch_ + state_.batches_done) {
    state_.begin_epoch();
    state_.steps_done = state_.epochs_done * steps_per_epoch_;
    state_.data = data;
  }
  known_bad_ = read_lines(out_ / "bad_images.tsv");
  files_are_stale_ = true;  // a killed run may have come further than its checkpoint
  write_files();
}

void RunRecord::begin_epoch() {
  progress_.emplace(fmt::format("epoch {}/{}", state_.epochs_done + 1, epochs_),
                    steps_per_epoch_ - state_.batches_done, "views");
  lap_ = now_seconds();
}

void RunRecord::end_step(const StepResult& step, bool is_update) {
  if (is_update) {
    state_.loss_sum += step.loss;
    state_.probe_loss_sum += step.probe_loss;
  } else {
    ++state_.skipped;
  }
  images_.pop_front();
  ++state_.steps_done;
  ++state_.batches_done;
  const double now = now_seconds();
  state_.step_seconds += step.step_seconds;
  state_.wait_seconds += step.wait_seconds;
  state_.seconds += now - lap_;
  lap_ = now;
  if (progress_)
    progress_->advance(views_per_step_,
                       fmt::format("loss {:.4f}  waiting for data {:.0f} %", step.loss, 100 * data_wait()));
}

void RunRecord::end_steps(nlohmann::json features) {
  progress_.reset();
  if (!features.is_null()) state_.features = std::move(features);
}

EpochReport RunRecord::report(const Accuracies& accuracies, double learning_rate, double chance_loss,
                              bool has_probe) const {
  const auto updates = static_cast<double>(std::max<std::int64_t>(1, steps_per_epoch_ - state_.skipped));
  const auto views = static_cast<double>(steps_per_epoch_ * views_per_step_);
  EpochReport report;
  report.epoch = state_.epochs_done + 1;
  report.epochs = epochs_;
  report.loss = state_.loss_sum / updates;
  report.chance_loss = chance_loss;
  report.learning_rate = learning_rate;
  report.views_per_second = views / state_.seconds;
  report.step_views_per_second = views / state_.step_seconds;
  report.data_wait = data_wait();
  report.neighbours = accuracies.neighbours;
  if (has_probe) {
    report.probe_loss = state_.probe_loss_sum / updates;
    report.probe_accuracy = accuracies.probe;
  }
  report.skipped_steps = state_.skipped;
  report.features = state_.features;
  return report;
}

bool RunRecord::end_epoch(const EpochReport& report, double score) {
  state_.metrics.push_back(report.to_json());
  state_.features = nullptr;
  const bool is_best = score > state_.best.value_or(-std::numeric_limits<double>::infinity());
  if (is_best) state_.best = score;
  ++state_.epochs_done;
  state_.begin_epoch();
  write_files();
  return is_best;
}

void RunRecord::write_files() {
  try {
    if (files_are_stale_)
      write_json_lines(out_ / "metrics.jsonl", state_.metrics);
    else
      append_json_line(out_ / "metrics.jsonl", state_.metrics.back());
    write_bad_images(out_ / "bad_images.tsv", bad_images_(), known_bad_);
    files_are_stale_ = false;
  } catch (const Error& error) {
    files_are_stale_ = true;
    fmt::print("warning: {}; tried again after the next epoch\n", error.what());
  }
}

void RunRecord::write_files_for_sure() {
  if (files_are_stale_) write_json_lines(out_ / "metrics.jsonl", state_.metrics);
  write_bad_images(out_ / "bad_images.tsv", bad_images_(), known_bad_);
}

}  // namespace kindred
