#include <kindred/apps/training/run/run_folder.h>
#include <kindred/apps/training/run/same_run.h>
#include <kindred/apps/training/run/start.h>

#include <fmt/ranges.h>  // defines: fmt::join

namespace kindred {

namespace fs = std::filesystem;

ExistingRun existing_run(const PretrainOptions& options) {
  if (options.resume) return ExistingRun::resume;
  return options.overwrite ? ExistingRun::overwrite : ExistingRun::refuse;
}

RunStart::RunStart(const PretrainOptions& options, OutputFolder& folder)
    : options_(options),
      folder_(folder),
      checkpoints_(options.out, static_cast<int>(options.keep_checkpoints)) {
  continues_ = folder_.goes_on() && fs::exists(fs::path(options.out) / "config.json");
  check(!folder_.goes_on() || continues_ || checkpoints_.candidates().empty(), ExitCode::file,
        "--resume: {} has checkpoints but no config.json with their settings; restore that file, or give "
        "--overwrite to start from the beginning",
        options.out);
}

const Checkpoint* RunStart::checkpoint(const nlohmann::json& config) {
  if (!continues_) return nullptr;
  const std::vector<std::string> changes = changed_settings(options_.out, config);
  has_changed_ = !changes.empty();
  check(!has_changed_ || options_.allow_change, ExitCode::usage,
        "--resume: the run in {} was started with other settings: {}; give the same flags and data, another "
        "--out, or --allow-change",
        options_.out, fmt::join(changes, "; "));
  for (const std::string& change : changes) fmt::print("changed: {}\n", change);
  found_ = checkpoints_.newest_valid();
  for (const std::string& reason : found_.reasons) fmt::print("warning: skipped: {}\n", reason);
  if (!found_.newest)
    fmt::print("no usable checkpoint in {}: the run starts from the beginning\n", options_.out);
  return found_.newest ? &*found_.newest : nullptr;
}

void RunStart::done(const nlohmann::json& config) {
  bool is_finished = false;
  if (found_.newest) {
    const RunState& at = found_.newest->run();
    fmt::print("continuing from {}: step {}, epoch {}, batch {}\n", found_.path.string(), at.steps_done,
               at.epochs_done + 1, at.batches_done + 1);
    is_finished = at.epochs_done >= options_.epochs;
  }
  if (continues_) checkpoints_.set_aside(found_);
  if (!folder_.goes_on()) folder_.take_over();
  if (!continues_ || (has_changed_ && !is_finished)) write_json(fs::path(options_.out) / "config.json", config);
  found_.newest.reset();  // frees it, because it is as large as the model
}

}  // namespace kindred
