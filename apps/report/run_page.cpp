#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/evaluation/encoder_flags.h>
#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/report/images/seen.h>
#include <kindred/apps/report/report_page.h>
#include <kindred/apps/report/run_page.h>
#include <kindred/apps/training/run/run_record.h>
#include <kindred/apps/training/run/takeover/drawn_files.h>
#include <kindred/apps/training/run/takeover/output_folder.h>
#include <kindred/apps/training/run/verdict/verdict.h>
#include <kindred/data/files/file.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/atomic_file.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// What the files of the run say, from memory: they may be a moment behind.
RunFiles files_of_parts(const RunParts& run, PageMoment moment, ExitCode code) {
  const RunState& state = run.record.state();
  RunFiles files;
  files.folder = run.options.out;
  files.name = names_of_runs({files.folder}).front();
  MetricLines lines;
  for (const nlohmann::json& line : state.metrics) lines.add(line);
  files.metrics = lines.table();
  files.untrained = state.untrained;
  const std::optional<std::int64_t> best = run.record.best_epoch();
  if (best || !state.best)
    files.best = KeptBest{best.value_or(0), state.best_by};  // else an earlier version began it
  files.is_under_way = moment == PageMoment::epoch;
  const bool is_signal = code == ExitCode::interrupted;
  files.was_stopped = moment == PageMoment::stop || is_signal;
  files.has_failed = moment == PageMoment::failed && !is_signal;
  files.was_not_finite = files.has_failed && code == ExitCode::non_finite;
  std::error_code ignored;
  files.lists_not_finite = fs::exists(files.folder / "non_finite.json", ignored);
  files.ended_early = moment == PageMoment::end && state.epochs_done < run.options.epochs;
  read_settings_of_run(files);
  return files;
}

// As the run's files have it: the best encoder, or else the newest.
std::unique_ptr<FrozenEncoder> encoder_of_parts(const RunParts& run) {
  const fs::path folder = run.options.out;
  std::error_code ignored;
  const bool has_best = fs::exists(folder / best_encoder_name, ignored);
  const fs::path file = folder / (has_best ? best_encoder_name : encoder_name);
  auto frozen = std::make_unique<FrozenEncoder>();
  frozen->info = read_encoder_info(file);
  frozen->encoder = std::make_unique<ResNet>(frozen->store, resnet_spec(frozen->info.model), frozen->info.stem);
  frozen->store.allocate(run.device, 0, run.options.precision.compute);
  load_encoder(file, frozen->store);
  FeatureOptions& features = frozen->features;
  features.device = run.device;
  features.precision = run.options.precision.compute;
  features.prepare_as(frozen->info);
  features.batch_size = static_cast<int>(images_measured_at_once(run.options));
  features.workers = static_cast<int>(run.options.workers);
  return frozen;
}

class PageOfPretraining {
 public:
  void refresh(const RunParts& run, PageMoment moment, ExitCode code) {
    if (!run.options.report || !run.processes.is_first() || run.record.state().metrics.empty()) return;
    try {
      draw(run, moment, code);
    } catch (...) {  // there is not even memory for a warning: the run needs no page
    }
  }

 private:
  void draw(const RunParts& run, PageMoment moment, ExitCode code) {
    const fs::path file = fs::path(run.options.out) / report_page_name;
    const double start = now_seconds();
    if (moment == PageMoment::epoch && has_drawn_ && 100 * last_cost_ > start - last_end_) return;
    // A run that was finished before is not changed.
    if (moment == PageMoment::end && !has_seen_epoch_ && !is_drawn_by_others(file) && is_last_page(file))
      return;
    if (moment == PageMoment::failed && run.folder.replaces()) return;
    has_seen_epoch_ = true;
    std::string problem = warning_of_others(file);
    try {
      if (problem.empty()) write(run, moment, code, file);
    } catch (const std::exception& error) {  // also of memory
      problem = "warning: " + one_line(fmt::format("{} could not be drawn: {}; the run does without it",
                                                   file.string(), error.what()));
    }
    if (!problem.empty() && !std::exchange(has_warned_, true)) fmt::print("{}\n", problem);
    has_drawn_ = true;
    last_end_ = now_seconds();
    last_cost_ = last_end_ - start;
  }

  // Whether the page on the disk says that nothing follows it. What cannot be read is drawn again.
  static bool is_last_page(const fs::path& file) {
    const FileContent content = read_file(file.string(), most_page_bytes);
    const std::string_view text(reinterpret_cast<const char*>(content.bytes.data()), content.bytes.size());
    return content.ok() && text.find(mark_of_last_page) != std::string_view::npos;
  }

  void write(const RunParts& run, PageMoment moment, ExitCode code, const fs::path& file) const {
    const RunFiles files = files_of_parts(run, moment, code);
    ReportOptions options;
    options.drawn = time_in_utc();
    if (run.evaluation) options.chance = chance_of(*run.evaluation);
    std::optional<Seen> seen;
    if (moment == PageMoment::end) {
      seen = seen_by(run, files, options.notes);
      options.seen = seen ? &*seen : nullptr;
      if (!seen) options.notes.emplace_back("images are not shown; `report RUN --out FILE.html` draws them");
      options.is_last = seen || !run.processes.is_alone();
    } else if (moment == PageMoment::failed) {
      options.notes.emplace_back("images are not shown");
    } else {
      options.notes.emplace_back("images are shown once the run has ended");
    }
    write_file_atomically(file, page_of_run(files, options), system_files_without_links());
  }

  // Nothing if a signal has arrived, or if other processes would have to wait.
  static std::optional<Seen> seen_by(const RunParts& run, const RunFiles& files,
                                     std::vector<std::string>& notes) {
    if (!run.processes.is_alone()) return std::nullopt;
    const SeenOptions how =
        seen_after_run_of(run.record.state().steps_done * run.options.batch_size * run.options.views);
    try {
      Seen seen = look_at_images(
          files, {run.train, run.evaluation, true}, [&] { return encoder_of_parts(run); }, how);
      note_fewer(run, how, notes);
      return seen;
    } catch (const Error& error) {
      if (error.code() != ExitCode::interrupted) throw;
      return std::nullopt;
    }
  }

  static void note_fewer(const RunParts& run, const SeenOptions& how, std::vector<std::string>& notes) {
    const SeenOptions all;
    const auto is_fewer = [](const Dataset& set, std::int64_t most, std::int64_t of_long_runs) {
      return most < std::min(set.size(), of_long_runs);
    };
    if (is_fewer(run.train, how.most_training, all.most_training) ||
        (run.evaluation && is_fewer(*run.evaluation, how.most_evaluation, all.most_evaluation)))
      notes.push_back(fmt::format(
          "the page is of at most {} to train on and {} to evaluate on, because the run was short; `report RUN "
          "--out FILE.html` looks at more",
          counted(how.most_training, "image"), how.most_evaluation));
  }

  bool has_drawn_ = false, has_seen_epoch_ = false, has_warned_ = false;
  double last_end_ = 0, last_cost_ = 0;  // seconds
};

}  // namespace

std::function<void(const RunParts& run, PageMoment moment, ExitCode code)> page_of_pretraining() {
  return [page = std::make_shared<PageOfPretraining>()](const RunParts& run, PageMoment moment, ExitCode code) {
    page->refresh(run, moment, code);
  };
}

}  // namespace kindred
