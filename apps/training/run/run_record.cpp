#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/console/messages/bad_images_line.h>
#include <kindred/apps/console/messages/figure_text.h>
#include <kindred/apps/metrics/metrics_csv.h>
#include <kindred/apps/metrics/picture_file.h>
#include <kindred/apps/training/diagnosis.h>
#include <kindred/apps/training/run/non_finite.h>
#include <kindred/apps/training/run/run_folder.h>
#include <kindred/apps/training/run/run_record.h>
#include <kindred/data/sets/fingerprint.h>
#include <kindred/engine/files/atomic_file.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace kindred {
namespace {

constexpr const char* bad_images_name = "bad_images.tsv";
constexpr const char* refused_name =
    "bad_images.refused.tsv";  // of a run that did not replace the one that is there

}  // namespace

RunRecord::RunRecord(const PretrainOptions& options, const Dataset& train, std::int64_t steps_per_epoch,
                     std::function<std::vector<BadImage>()> bad_images, const Communicator& processes)
    : processes_(processes),
      out_(options.out),
      epochs_(options.epochs),
      early_stop_(options.early_stop),
      steps_per_epoch_(steps_per_epoch),
      views_per_step_(options.views * options.batch_size),
      classifies_(loss_options(options).classifies()),
      advice_(advice_on_non_finite(loss_options(options))),
      bad_images_(std::move(bad_images)),
      has_csv_(options.metrics_csv) {
  if (!options.no_tensorboard) events_.emplace(out_ / event_folder_name, out_ / views_sheet_name);
  state_.data = data_fingerprint(train);
}

void RunRecord::begin() {
  files_are_stale_ = true;
  if (!processes_.is_first()) return;
  std::error_code ignored;
  for (const char* const name : {refused_name, non_finite_refused_name})
    std::filesystem::remove(out_ / name, ignored);
}

void RunRecord::resume(const RunState& saved) {
  const std::string data = state_.data;
  state_ = saved;
  if (state_.data != data || state_.steps_done != state_.epochs_done * steps_per_epoch_ + state_.batches_done) {
    state_.begin_epoch();
    // This model is not the one that had that position before.
    if (state_.steps_done != state_.epochs_done * steps_per_epoch_) state_.best_step = -1;
    state_.steps_done = state_.epochs_done * steps_per_epoch_;
    state_.data = data;
  }
  if (!processes_.is_first()) return;
  known_bad_ = read_lines(out_ / bad_images_name);
  // A killed run may have come further than its checkpoint. If it has not, nothing needs to be written, also on a full disk.
  if (!known_bad_.empty() && has_json_lines(out_ / "metrics.jsonl", state_.metrics)) return;
  files_are_stale_ = true;
  write_files();
}

std::optional<double> RunRecord::seconds_an_epoch() const {
  double total = 0;
  std::int64_t epochs = 0;
  for (const nlohmann::json& line : state_.metrics) {
    if (!line.is_object() || !line.contains("seconds") || !line.at("seconds").is_number()) continue;
    total += line.at("seconds").get<double>();
    ++epochs;
  }
  if (epochs == 0) return std::nullopt;
  return total / static_cast<double>(epochs);
}

void RunRecord::begin_epoch() {
  progress_.emplace(fmt::format("epoch {}/{}", state_.epochs_done + 1, epochs_),
                    steps_per_epoch_ - state_.batches_done, "views");
  progress_->is_followed_by(epochs_ - state_.epochs_done - 1, seconds_an_epoch());
  lap_ = now_seconds();
}

void RunRecord::end_step(const StepResult& step, bool is_update) {
  if (is_update) {
    state_.loss_sum += step.loss;
    state_.probe_loss_sum += step.probe_loss;
    state_.skipped_in_a_row = 0;
  } else {
    ++state_.skipped;
    ++state_.skipped_in_a_row;
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
    progress_->advance(views_per_step_, fmt::format("loss {}  waiting for data {:.0f} %",
                                                    figure_text(step.loss, 4), 100 * data_wait()));
}

void RunRecord::share_times() {
  if (processes_.is_alone()) return;
  std::vector<double> times(2 * static_cast<std::size_t>(processes_.size()));  // of each process: waiting, step
  const auto own = 2 * static_cast<std::size_t>(processes_.rank());
  times[own] = state_.wait_seconds;
  times[own + 1] = state_.step_seconds;
  times = processes_.sum(std::move(times));
  std::size_t slowest = 0;
  for (std::size_t each = 2; each < times.size(); each += 2)
    if (times[each] > times[slowest]) slowest = each;
  state_.wait_seconds = times[slowest];
  state_.step_seconds = times[slowest + 1];
}

std::vector<BadImage> RunRecord::bad_images() const {
  std::vector<BadImage> all = bad_images_();
  all.insert(all.end(), bad_evaluation_.begin(), bad_evaluation_.end());
  return all;
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
  if (accuracies.neighbours && accuracies.chance) {
    report.neighbours_of = accuracies.chance->images;
    report.neighbours_chance = accuracies.chance->accuracy;
  }
  report.has_probe = has_probe;
  if (has_probe && has_updates) report.probe_loss = state_.probe_loss_sum / updates;
  if (has_probe) report.probe_accuracy = accuracies.probe;
  report.has_classifier = classifies_;
  report.classifier_top1 = accuracies.classifier;
  report.classifier_top5 = accuracies.classifier_top5;
  report.skipped_steps = state_.skipped;
  report.seconds = state_.seconds;
  report.time = time_in_utc();
  report.seconds_left =
      static_cast<double>(epochs_ - report.epoch) * seconds_an_epoch().value_or(state_.seconds);
  report.features = state_.features;
  report.processes = processes_.size();
  return report;
}

bool RunRecord::end_epoch(const EpochReport& report, const EpochFigure& figure) {
  state_.metrics.push_back(report.to_json());
  std::optional<double> score = figure.score;
  const bool is_other_kind = state_.best_by != figure.kind;
  // An earlier version does not say on what it measured.
  const bool are_other_images = !is_other_kind && !state_.best_on.empty() && !figure.measured_on.empty() &&
                                state_.best_on != figure.measured_on;
  if (state_.best && (is_other_kind || are_other_images)) {
    if (score && figure.is_measured) {
      const auto on = [&](const std::string& images) { return are_other_images ? " on " + images : ""; };
      fmt::print("{}\n", one_line(fmt::format(
                             "the best epoch, so far chosen by {}{}, is now chosen by {}{}: the "
                             "comparison starts anew",
                             state_.best_by, on(state_.best_on), figure.kind, on(figure.measured_on))));
      state_.forget_best();
      if (are_other_images) state_.untrained.reset();  // the verdict compares figures on the same images
    } else {
      score.reset();
    }
  }
  const bool is_best = score && report.loss && state_.is_improved_by(*score, *report.loss);
  const bool is_better =
      is_best && (!state_.best || *score > *state_.best);  // not only of equals the later one
  state_.epochs_since_better = is_better ? 0 : state_.epochs_since_better + 1;
  if (is_better || figure.is_measured) state_.stale_epochs = state_.epochs_since_better;
  if (is_best) {
    state_.best = score;
    state_.best_by = figure.kind;
    state_.best_on = figure.measured_on;
    state_.best_loss = report.loss;
    state_.best_step = state_.steps_done;
  }
  ++state_.epochs_done;
  state_.begin_epoch();
  write_files();
  return is_best;
}

std::optional<std::int64_t> RunRecord::best_epoch() const {
  if (state_.best_step < 0) return std::nullopt;
  return state_.best_step / steps_per_epoch_;
}

bool RunRecord::has_learned_nothing() const {
  const auto has_no_loss = [](const nlohmann::json& line) {
    return line.contains("loss") && line.at("loss").is_null();
  };
  return !state_.metrics.empty() && std::all_of(state_.metrics.begin(), state_.metrics.end(), has_no_loss);
}

bool RunRecord::has_diverged() const {
  // Half an epoch, or ten steps of a long one: good weights do not fail that often in a row.
  constexpr std::int64_t most_looked_at = 20;
  return state_.skipped_in_a_row > 0 &&
         2 * state_.skipped_in_a_row >= std::min(steps_per_epoch_, most_looked_at);
}

std::string RunRecord::failure() const {
  constexpr const char* reason = "because the loss or a gradient was not finite";
  if (has_learned_nothing())
    return fmt::format("the run has learned nothing: every step was skipped, {}; {}", reason, advice_);
  if (!has_diverged()) return "";
  return fmt::format(
      "the run has diverged: its last {} skipped, {}, so its weights are of no use; {}",
      state_.skipped_in_a_row == 1 ? "step was" : fmt::format("{} steps were", state_.skipped_in_a_row), reason,
      advice_);
}

void RunRecord::write_files() {
  if (!processes_.is_first()) return;
  try {
    if (files_are_stale_)
      write_json_lines(out_ / "metrics.jsonl", state_.metrics);
    else
      append_json_line(out_ / "metrics.jsonl", state_.metrics.back());
    const std::vector<BadImage> bad = bad_images();
    write_bad_images(out_ / bad_images_name, bad, known_bad_);
    files_are_stale_ = false;
    if (bad.size() > bad_told_ && !is_finished())  // the end of the run says it again
      fmt::print("{}\n", bad_images_line(bad.size(), out_ / bad_images_name, " so far"));
    bad_told_ = bad.size();
  } catch (const Error& error) {
    files_are_stale_ = true;
    fmt::print("warning: {}; tried again after the next epoch\n", error.what());
  }
  write_for_other_programs();
}

// The run does not need them.
void RunRecord::write_for_other_programs() {
  try {
    others_are_stale_ = true;
    if (events_) events_->write(state_.metrics);
    if (has_csv_ && !state_.metrics.empty())
      write_file_atomically(out_ / "metrics.csv", metrics_as_csv(state_.metrics), system_files_without_links());
    others_are_stale_ = false;
  } catch (const Error& error) {
    fmt::print("warning: {}\n", error.what());
  }
}

void RunRecord::write_files_for_sure() {
  if (!processes_.is_first()) return;
  if (files_are_stale_) write_json_lines(out_ / "metrics.jsonl", state_.metrics);
  write_bad_images(out_ / bad_images_name, bad_images(), known_bad_);
  if (others_are_stale_) write_for_other_programs();
}

void RunRecord::rethrow_with_list(const Error& error, bool comes_back) const {
  const std::filesystem::path list = out_ / (comes_back ? refused_name : bad_images_name);
  bool is_listed = false;
  try {
    if (const std::vector<BadImage> bad = bad_images(); processes_.is_first() && !bad.empty()) {
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
