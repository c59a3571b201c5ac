#include <kindred/apps/console/ending/made_folders.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/metrics/picture_file.h>
#include <kindred/apps/training/run/takeover/beside_run.h>
#include <kindred/apps/training/run/takeover/output_folder.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/make_folders.h>

#include <fmt/ranges.h>  // defines: fmt::join
#include <unistd.h>      // defines: rmdir

#include <cstdio>
#include <exception>
#include <string>
#include <system_error>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// What a start writes before there are results. metrics.jsonl has no line then. They are removed in this order: a process that
// is killed in between leaves config.json, by which the next start knows whose the others are.
constexpr const char* files_of_start[] = {"metrics.jsonl",   "plans.json",    "bad_images.tsv",
                                          "non_finite.json", first_save_name, views_sheet_name,
                                          "config.json"};

// Creates the output folder. Returns the folders that were missing, the innermost first.
std::vector<fs::path> make_output_folder(const fs::path& folder) {
  std::error_code error;
  check(!folder.empty(), ExitCode::usage, "--out: the name is empty; give the name of a folder");
  check(!fs::exists(folder, error) || fs::is_directory(folder, error), ExitCode::usage,
        "--out {}: it is a file; give the name of a folder", folder.string());
  std::vector<fs::path> missing;
  for (fs::path at = folder; !at.empty() && !fs::exists(at, error); at = at.parent_path())
    if (at.has_filename()) missing.push_back(at);  // "RUN/" ends with an empty name
  make_folders("--out " + folder.string(), folder);
  for (const fs::path& made : missing) note_made_folder(made);
  return missing;
}

// The folder that a file or a folder is in, whatever the current folder is.
fs::path folder_around(const fs::path& path) {
  std::error_code ignored;
  const fs::path whole = fs::absolute(path, ignored).lexically_normal();
  return whole.has_filename() ? whole.parent_path() : whole.parent_path().parent_path();  // "RUN/probe/"
}

// Results alone are no run that could go on.
bool has_run_to_resume(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / "config.json", ignored) || !CheckpointFolder(folder, 1).candidates().empty();
}

bool has_set_aside(const fs::path& folder) {
  return SetAside(folder, FolderOf::run).is_there() || SetAside(folder, FolderOf::probe).is_there();
}

// The caller holds the folder's lock.
void put_right_locked(const fs::path& folder) {
  if (SetAside(folder, FolderOf::run).put_right())
    fmt::print(
        "{}: the run that was to replace the one there was killed before it had saved; the earlier run is "
        "back\n",
        one_line(folder.string()));
  if (SetAside(folder, FolderOf::probe).put_right())
    fmt::print("{}: the probe that was to replace the one there was killed; the earlier result is back\n",
               one_line(folder.string()));
}

void put_right(const fs::path& folder) {
  if (!has_set_aside(folder) || is_locked(folder)) return;
  const RunLock lock(folder);
  put_right_locked(folder);
}

// The folders around this one, the nearest first.
std::vector<fs::path> folders_around(const fs::path& folder) {
  std::vector<fs::path> around;
  for (fs::path at = folder_around(folder); around.empty() || at != around.back(); at = at.parent_path())
    around.push_back(at);
  return around;
}

// A probe's folder lies inside its run's, whose earlier files may include that probe's.
void put_runs_around_right(const fs::path& folder) {
  for (const fs::path& run : folders_around(folder)) {
    check(!has_set_aside(run) || !is_locked(run), ExitCode::usage,
          "--out {}: the run in {} is being replaced by another process; wait until it has saved, or give "
          "another folder",
          folder.string(), run.string());
    put_right(run);
  }
}

// Returns `folder`. What lies below RUN/checkpoints is not set aside with the run, so nothing is put there.
const fs::path& checked_for_checkpoints(const fs::path& folder) {
  std::error_code ignored;
  for (fs::path at : {folder, fs::weakly_canonical(folder, ignored)}) {  // also what a link points to
    if (at.empty()) continue;
    at = fs::absolute(at, ignored).lexically_normal();
    for (; at.has_relative_path(); at = at.parent_path()) {
      const fs::path run = at.parent_path();
      check(!is_folder_of_files(at.filename()) || !(holds_run(run) || SetAside(run, FolderOf::run).is_there()),
            ExitCode::usage, "--out {}: {} is for the {} of the run in {}; give another folder",
            folder.string(), at.string(), at.filename() == event_folder_name ? "events" : "checkpoints",
            run.string());
    }
  }
  return folder;
}

}  // namespace

void put_right_folder_of(const fs::path& given) {
  std::error_code ignored;
  if (fs::is_directory(given, ignored)) {
    put_right(given);
    return;
  }
  const fs::path folder = folder_around(given);
  put_right(folder.filename() == "checkpoints" ? folder.parent_path() : folder);
}

fs::path place_of_settings(const fs::path& settings) {
  constexpr const char* name = "config.json";
  if (settings.filename() != name) return settings;
  const fs::path folder = folder_around(settings);
  const SetAside earlier(folder, FolderOf::run);
  if (!earlier.is_there()) return settings;
  check(!is_locked(folder), ExitCode::usage,
        "{}: the run in {} is being replaced by another process; wait until it has saved", settings.string(),
        folder.string());
  return earlier.place_of(name);
}

namespace {

// Whether `similar` made the folder: an index has its own files alone.
bool holds_index(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / "index.json", ignored) && !names_in(folder, [](const std::string& name) {
                                                          return name.starts_with("features-") &&
                                                                 name.ends_with(".npy");
                                                        }).empty();
}

}  // namespace

void check_output_file(const char* flag, const std::string& file, const std::string& such_as) {
  if (file.empty()) return;
  std::error_code ignored;
  check(!file.ends_with('/') && !fs::is_directory(file, ignored), ExitCode::usage,
        "{} {}: a folder; give the name of a file, such as {}", flag, file,
        (fs::path(file) / such_as).string());
  const auto has_run = [](const fs::path& folder) {
    return holds_run(folder) || SetAside(folder, FolderOf::run).is_there();
  };
  // Also what a link points to, because a program writes there.
  const std::vector<fs::path> paths = {fs::path(file), fs::weakly_canonical(file, ignored)};
  for (const fs::path& path : paths) {
    if (path.empty()) continue;
    const fs::path folder = folder_around(path);
    const std::string name = path.filename().string();
    check(!holds_index(folder), ExitCode::usage,
          "{} {}: lies in the folder of an index, which has its own files alone; give another place", flag,
          file);
    const bool is_of_run = has_run(folder) && is_own_name(name, FolderOf::run);
    const bool is_checkpoint =
        folder.filename() == "checkpoints" && is_checkpoint_name(name) && has_run(folder.parent_path());
    check(!is_of_run && !is_checkpoint, ExitCode::usage,
          "{} {}: a file of this name belongs to the run in {}; give another name", flag, file,
          (is_of_run ? folder : folder.parent_path()).string());
    const bool has_probe = holds_probe(folder) || SetAside(folder, FolderOf::probe).is_there();
    check(!has_probe || !is_own_name(name, FolderOf::probe), ExitCode::usage,
          "{} {}: a file of this name belongs to the result of linear_probe in {}; give another name", flag,
          file, folder.string());
  }
}

OutputFolder::OutputFolder(const fs::path& folder, FolderOf what, ExistingRun existing)
    : folder_(checked_for_checkpoints(folder)),
      what_(what),
      existing_(existing),
      made_(make_output_folder(folder)),
      lock_(folder),  // before anything is moved or removed, because another process may be using the folder
      earlier_(folder, what) {
  try {
    if (what == FolderOf::probe) put_runs_around_right(folder);
    put_right_locked(folder);
    check_free();
    if (what == FolderOf::run) check_no_obstacle(folder);
  } catch (...) {
    remove_made_folders();
    throw;
  }
  goes_on_ = existing == ExistingRun::resume && holds_run(folder);
}

OutputFolder::OutputFolder()
    : what_(FolderOf::run), existing_(ExistingRun::refuse), earlier_({}, FolderOf::run) {}

OutputFolder::~OutputFolder() {
  try {
    if (!replaces_) {
      if (has_begun_) clean_up();
    } else if (earlier_.put_right()) {
      fmt::print("{}: nothing new was saved; the earlier {} is back\n", one_line(folder_.string()),
                 what_ == FolderOf::run ? "run" : "result");
    }
  } catch (const std::exception& error) {
    std::printf("warning: %s; the next start in this folder tries again\n", error.what());
  }
  remove_made_folders();
}

void OutputFolder::check_free() const {
  const std::string name = folder_.string();
  if (what_ == FolderOf::run && !holds_run(folder_))
    if (const auto foreign = foreign_file_of_start(folder_))
      fail(ExitCode::usage, "--out {}: its {} is not of a run of pretrain; give another folder", name,
           *foreign);
  check(what_ == FolderOf::run || !holds_run(folder_), ExitCode::usage,
        "--out {}: it holds a run of pretrain; give a folder for the result alone, such as {}", name,
        (folder_ / "probe").string());
  check(existing_ != ExistingRun::resume || what_ != FolderOf::run || has_run_to_resume(folder_) ||
            !holds_results(folder_, what_),
        ExitCode::usage,
        "--resume: {}: it holds results already, but neither a checkpoint nor the config.json of a run; give "
        "another folder, or --overwrite instead of --resume to replace them",
        name);
  if (existing_ != ExistingRun::refuse || !holds_results(folder_, what_)) return;
  const bool is_run = what_ == FolderOf::run;
  const bool is_inside = is_run && !holds_run(folder_) && !holds_probe(folder_);
  fail(ExitCode::usage, "--out {}: {} already; give another folder, or --overwrite to replace them{}", name,
       is_inside ? "a folder inside it holds results of a probe" : "it holds results",
       is_run && holds_run(folder_) ? "; --resume continues a run" : "");
}

void OutputFolder::take_over() {
  if (existing_ == ExistingRun::overwrite && holds_results(folder_, what_))
    replace();
  else if (what_ == FolderOf::run)
    for (const char* name : files_of_start) remove_own(folder_ / name);
  has_begun_ = true;
}

void OutputFolder::replace() {
  std::vector<std::string> probes;
  if (what_ == FolderOf::run)
    for (const std::string& name : folders_inside(folder_)) {
      const fs::path inside = folder_ / name;
      // Also if there is no result yet: a probe that is being trained would write the earlier encoder's.
      check(!is_locked(inside), ExitCode::usage,
            "--out {}: another process is writing to {}; wait for it, or give another folder", folder_.string(),
            inside.string());
      if (!holds_probe_inside(inside) && !SetAside(inside, FolderOf::probe).is_there()) continue;
      put_right(inside);
      if (holds_probe_inside(inside)) probes.push_back(one_line(name));
    }
  earlier_.move_away();
  replaces_ = true;
  if (what_ != FolderOf::run) return;
  fmt::print("{}: the earlier run{} is set aside, and removed when this one has saved\n",
             one_line(folder_.string()),
             probes.empty() ? "" : fmt::format(", with the probe results in {},", fmt::join(probes, ", ")));
  warn_of_others(folder_);
}

void OutputFolder::saved() {
  if (replaces_.exchange(false)) earlier_.remove();
}

bool OutputFolder::brings_back(const std::string& name) const {
  std::error_code ignored;
  return replaces_ && fs::exists(fs::symlink_status(earlier_.hidden_place_of(name), ignored));
}

void OutputFolder::clean_up() const {
  if (what_ == FolderOf::probe && !holds_save(folder_, what_)) {
    remove_own(folder_ / "classifier.safetensors");
    if (!is_report(folder_ / "bad_images.tsv")) remove_own(folder_ / "bad_images.tsv");
  }
  if (what_ == FolderOf::run && !holds_run(folder_)) {
    for (const char* name : files_of_start)
      if (!is_report(folder_ / name)) remove_own(folder_ / name);
    for (const char* const name : folders_of_files) ::rmdir((folder_ / name).c_str());
  }
}

void OutputFolder::remove_made_folders() const {
  for (const fs::path& each : made_) {
    ::rmdir(each.c_str());  // fails if there is anything in it
    forget_made_folder(each);
  }
}

}  // namespace kindred
