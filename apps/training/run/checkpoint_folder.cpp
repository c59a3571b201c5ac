#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/training/run/checkpoint_folder.h>
#include <kindred/apps/training/run/run_folder.h>
#include <kindred/apps/training/run/takeover/own_files.h>
#include <kindred/data/files/file_lock.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/make_folders.h>

#include <fcntl.h>   // defines: open and its flags
#include <unistd.h>  // defines: close, getpid

#include <algorithm>
#include <chrono>
#include <string_view>
#include <system_error>
#include <thread>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr const char *newest_name = "checkpoint.safetensors", *best_name = "best.txt";
constexpr std::string_view step_prefix = "step-", step_suffix = ".safetensors", damaged_suffix = ".damaged";

std::string step_name(std::int64_t step) {
  return fmt::format("{}{:09}{}", step_prefix, step, step_suffix);
}

bool is_step_name(const std::string& name) {
  if (!name.starts_with(step_prefix) || !name.ends_with(step_suffix)) return false;
  const std::string_view number =
      std::string_view(name).substr(step_prefix.size(), name.size() - step_prefix.size() - step_suffix.size());
  return !number.empty() && number.find_first_not_of("0123456789") == std::string_view::npos;
}

// A longer number is a larger one.
bool has_larger_step(const std::string& a, const std::string& b) {
  return a.size() != b.size() ? a.size() > b.size() : a > b;
}

// Names of the numbered checkpoints, the largest number first.
std::vector<std::string> step_names(const fs::path& folder) {
  std::vector<std::string> names = names_in(folder, is_step_name);
  std::sort(names.begin(), names.end(), has_larger_step);
  return names;
}

// Whether checkpoint.safetensors is newer than the numbered checkpoint with the largest number. Then a change of data
// or batch size (--allow-change) has made the epochs shorter, and the run counts from a smaller step.
bool counts_from_smaller_step(const fs::path& newest, const fs::path& largest) {
  try {
    const RunState a = read_run_state(newest), b = read_run_state(largest);
    if (a.steps_done >= b.steps_done) return false;
    if (a.epochs_done != b.epochs_done) return a.epochs_done > b.epochs_done;
    std::error_code error_a, error_b;
    const auto written_a = fs::last_write_time(newest, error_a),
               written_b = fs::last_write_time(largest, error_b);
    return !error_a && !error_b && written_a > written_b;
  } catch (const Error&) {  // one of the two is damaged, which newest_valid() finds out
    return false;
  }
}

// Gives `file` a second name in one step. Returns false if the file system has no hard links.
bool link_over(const fs::path& file, const fs::path& name, FileOperations& files) {
  const fs::path temporary = name.parent_path() / fmt::format(".kindred-{}-link.tmp", ::getpid());
  std::error_code error;
  fs::remove(temporary, error);
  fs::create_hard_link(file, temporary, error);
  if (error) return false;
  const bool renamed = files.rename(temporary.c_str(), name.c_str()) == 0;
  fs::remove(temporary, error);  // it is still there if both names already were the same file
  return renamed;
}

void remove_leftovers(const fs::path& folder) {
  const auto is_leftover = [](const std::string& name) {
    return name.starts_with(".kindred-") && name.ends_with(".tmp");
  };
  std::error_code ignored;
  for (const std::string& name : names_in(folder, is_leftover)) fs::remove(folder / name, ignored);
}

struct TriedLock {
  int folder;     // the open folder, which holds the lock; -1 if it is not open
  bool is_taken;  // by another process
};

TriedLock tried_lock(const fs::path& run, LockOutcome (*try_now)(int)) {
  const int folder = ::open(run.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return {-1, false};  // the folder may be writable but not readable
  // Some network file systems have no locks. There the user is responsible.
  const bool is_taken = try_now(folder) == LockOutcome::taken;
  if (is_taken) ::close(folder);
  return {is_taken ? -1 : folder, is_taken};
}

}  // namespace

CheckpointFolder::CheckpointFolder(fs::path run, int keep, FileOperations& files)
    : run_(std::move(run)), folder_(run_ / "checkpoints"), keep_(keep), files_(files) {}

void CheckpointFolder::save(const Checkpoint& checkpoint, bool is_best) {
  make_folders(folder_.string(), folder_);
  const std::string name = step_name(checkpoint.run().steps_done);
  checkpoint.save(folder_ / name, files_);
  if (!link_over(folder_ / name, run_ / newest_name, files_)) checkpoint.save(run_ / newest_name, files_);
  sync_folder_of(run_ / newest_name, files_);
  if (is_best) write_file_atomically(folder_ / best_name, name + "\n", files_);
  prune(name);
}

std::optional<fs::path> CheckpointFolder::make_best(std::int64_t step) {
  const std::string name = step_name(step);
  std::error_code ignored;
  if (!fs::is_regular_file(folder_ / name, ignored)) return std::nullopt;
  if (best_checkpoint(run_) != folder_ / name) write_file_atomically(folder_ / best_name, name + "\n", files_);
  return folder_ / name;
}

void CheckpointFolder::prune(const std::string& saved) {
  const auto best_path = best_checkpoint(run_);
  const std::string best = best_path ? best_path->filename().string() : "";
  int kept = 0;
  std::error_code ignored;
  std::vector<std::string> names = step_names(folder_);
  // Larger numbers than that of the newest one are from before --allow-change, so they are older.
  std::stable_partition(names.begin(), names.end(),
                        [&](const std::string& name) { return !has_larger_step(name, saved); });
  for (const std::string& name : names)
    if (++kept > keep_ && name != best) fs::remove(folder_ / name, ignored);
}

std::vector<fs::path> CheckpointFolder::candidates() const {
  std::vector<fs::path> paths;
  for (const std::string& name : step_names(folder_)) paths.push_back(folder_ / name);
  // Almost always this is the first of the numbered checkpoints under another name. If a process was killed between the
  // two names, that one is newer, and this comes second. It is the only one if the folder was removed.
  std::error_code error;
  const fs::path newest = run_ / newest_name;
  if (fs::exists(newest, error) && (paths.empty() || !fs::equivalent(newest, paths.front(), error))) {
    const bool is_first = paths.empty() || counts_from_smaller_step(newest, paths.front());
    paths.insert(is_first ? paths.begin() : paths.begin() + 1, newest);
  }
  return paths;
}

CheckpointFolder::Found CheckpointFolder::newest_valid() const {
  Found found;
  for (const fs::path& path : candidates()) {
    try {
      found.newest.emplace(path);
      found.path = path;
      return found;
    } catch (const Error& error) {
      found.passed_over.push_back(path);
      found.reasons.push_back(error.what());
    }
  }
  return found;
}

void CheckpointFolder::set_aside(const Found& found) {
  std::error_code ignored;
  for (const fs::path& path : found.passed_over)
    fs::rename(path, path.string() + std::string(damaged_suffix), ignored);
}

FirstSave::FirstSave(const fs::path& run) : newest_(run / newest_name), mark_(run / first_save_name) {
  std::error_code ignored;
  if (fs::exists(newest_, ignored)) return;
  write_file_atomically(mark_, {}, system_files_without_links());
}

FirstSave::~FirstSave() {
  std::error_code ignored;
  if (fs::exists(newest_, ignored)) fs::remove(mark_, ignored);
}

bool is_checkpoint_name(const std::string& name) {
  if (name.ends_with(damaged_suffix)) return is_step_name(name.substr(0, name.size() - damaged_suffix.size()));
  return name == best_name || is_step_name(name);
}

RunLock::RunLock(const fs::path& run) {
  TriedLock lock = tried_lock(run, try_to_lock);
  // Who asks whether a run is locked (is_locked) has its lock for that moment.
  for (int again = 0; lock.is_taken && again < 5; ++again) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    lock = tried_lock(run, try_to_lock);
  }
  check(!lock.is_taken, ExitCode::usage,
        "--out {}: another process is training into it; wait for it, or give another folder", run.string());
  folder_ = lock.folder;
  if (folder_ < 0) return;
  remove_leftovers(run);
  for (const char* const name : folders_of_files) remove_leftovers(run / name);
}

RunLock::~RunLock() {
  if (folder_ >= 0) ::close(folder_);
}

bool is_locked(const fs::path& run) {
  const TriedLock lock = tried_lock(run, try_to_share);
  if (lock.folder >= 0) ::close(lock.folder);
  return lock.is_taken;
}

}  // namespace kindred
