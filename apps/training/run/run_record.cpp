#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/training/run/run_folder.h>
#include <kindred/apps/training/run/run_record.h>
#include <kindred/apps/training/run/same_run.h>

#include <algorithm>
#include <limits>
#include <system_error>
#include <utility>

namespace kindred {
namespace {

constexpr const char* bad_images_name = "bad_images.tsv";
constexpr const char* refused_name =
    "bad_images.refused.tsv";  // of a run that did not replace the one that is there

}  // namespace

RunRecord::RunRecord(const PretrainOptions& options, const Dataset& train, std::int64_t steps_per_epoch,
                     std::function<std::vector<BadImage>()> bad_images)
    : out_(options.out),
      epochs_(options.epochs),
      steps_per_epoch_(steps_per_epoch),
      views_per_step_(options.views * options.batch_size),
      bad_images_(std::move(bad_images)) {
  state_.data = data_fingerprint(train);
}

void RunRecord::begin() {
  files_are_stale_ = true;
  std::error_code ignored;
  std::filesystem::remove(out_ / refused_name, ignored);
}

void RunRecord::resume(const RunState& saved) {
  const std::string data = state_.data;
  state_ = saved;
  if (state_.data != data || state_.steps_done != state_.epochs_done * steps_per_epoch_ + state_.batches_done) {
    state_.begin_epoch();
    state_.steps_done = state_.epochs_done * steps_per_epoch_;
    state_.data = data;
  }
  known_bad_ = read_lines(out_ / bad_images_name);
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
  const bool has_updates = state_.skipped < steps_per_epoch_;
  const auto updates = static_cast<double>(steps_per_epoch_ - state_.skipped);
  const auto views = static_cast<double>(steps_per_epoch_ * views_per_step_);
  EpochReport report;
  report.epoch = state_.epochs_done + 1;
  report.epochs = epochs_;
  if (has_updates) report.loss = state_.loss_sum / updates;
  report.chance_loss = chance_loss;
  report.learning_rate = learning_rate;
  report.views_per_second = views / state_.seconds;
  report.step_views_per_second = views / state_.step_seconds;
  report.data_wait = data_wait();
  report.neighbours = accuracies.neighbours;
  report.has_probe = has_probe;
  if (has_probe && has_updates) report.probe_loss = state_.probe_loss_sum / updates;
  if (has_probe) report.probe_accuracy = accuracies.probe;
  report.skipped_steps = state_.skipped;
  report.features = state_.features;
  return report;
}

bool RunRecord::end_epoch(const EpochReport& report, std::optional<double> score) {
  state_.metrics.push_back(report.to_json());
  state_.features = nullptr;
  // An empty optional is not greater than any number.
  const bool is_best = score > state_.best.value_or(-std::numeric_limits<double>::infinity());
  if (is_best) state_.best = score;
  ++state_.epochs_done;
  state_.begin_epoch();
  write_files();
  return is_best;
}

bool RunRecord::has_learned_nothing() const {
  const auto has_no_loss = [](const nlohmann::json& line) {
    return line.contains("loss") && line.at("loss").is_null();
  };
  return !state_.metrics.empty() && std::all_of(state_.metrics.begin(), state_.metrics.end(), has_no_loss);
}

void RunRecord::write_files() {
  try {
    if (files_are_stale_)
      write_json_lines(out_ / "metrics.jsonl", state_.metrics);
    else
      append_json_line(out_ / "metrics.jsonl", state_.metrics.back());
    const std::vector<BadImage> bad = bad_images_();
    write_bad_images(out_ / bad_images_name, bad, known_bad_);
    files_are_stale_ = false;
    if (bad.size() > bad_told_ && !is_finished())  // the end of the run says it again
      fmt::print("{} images so far could not be read or are damaged; they are listed in {}\n", bad.size(),
                 (out_ / bad_images_name).string());
    bad_told_ = bad.size();
  } catch (const Error& error) {
    files_are_stale_ = true;
    fmt::print("warning: {}; tried again after the next epoch\n", error.what());
  }
}

void RunRecord::write_files_for_sure() {
  if (files_are_stale_) write_json_lines(out_ / "metrics.jsonl", state_.metrics);
  write_bad_images(out_ / bad_images_name, bad_images_(), known_bad_);
}

void RunRecord::rethrow_with_list(const Error& error, bool comes_back) const {
  const std::filesystem::path list = out_ / (comes_back ? refused_name : bad_images_name);
  bool is_listed = false;
  try {
    if (const std::vector<BadImage> bad = bad_images_(); !bad.empty()) {
      write_bad_images(list, bad, known_bad_);
      is_listed = true;
    }
  } catch (const Error& unwritten) {
    fmt::print("warning: {}\n", unwritten.what());
  }
  if (is_listed && error.code() == ExitCode::data)
    throw Error(error.code(), fmt::format("{}; {} lists all so far", error.what(), list.string()),
                error.cause());
  throw;
}

}  // namespace kindred
