#include <kindred/apps/console/progress.h>
#include <kindred/apps/training/run/checkpoint_folder.h>
#include <kindred/apps/training/run/run_folder.h>
#include <kindred/apps/training/run/takeover/beside_run.h>
#include <kindred/apps/training/run/takeover/own_files.h>
#include <kindred/engine/error.h>

#include <fmt/ranges.h>  // defines: fmt::join
#include <unistd.h>      // defines: access

#include <algorithm>
#include <cstddef>
#include <string>
#include <system_error>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// A result.json or classifier.safetensors is only that of some runs, which look for it themselves. What a run draws it can do
// without.
bool is_name_of_any_run(const std::string& name) {
  return is_own_name(name, FolderOf::run) && !is_drawn_name(name) &&
         (name == "bad_images.tsv" || !is_own_name(name, FolderOf::probe));
}

[[noreturn]] void fail_by_obstacle(const fs::path& run, const fs::path& name, const std::string& what,
                                   const char* wanted) {
  fail(ExitCode::usage, "--out {}: its {} is {}, where a run puts {}; remove it, or give another folder",
       run.string(), name.string(), what, wanted);
}

void check_files(const fs::path& run, const fs::path& below, bool (*is_own)(const std::string&)) {
  for (const std::string& name : names_in(run / below, is_own)) {
    std::error_code ignored;
    const fs::file_status status = fs::symlink_status(run / below / name, ignored);
    if (!fs::exists(status) || fs::is_regular_file(status) || fs::is_symlink(status)) continue;
    fail_by_obstacle(run, below / name, fs::is_directory(status) ? "a folder" : "a device, a pipe or a socket",
                     "a file");
  }
}

void check_folder(const fs::path& run, const char* name) {
  std::error_code ignored;
  const fs::path path = run / name;
  const fs::file_status status = fs::status(path, ignored);
  if (fs::is_directory(status) || !fs::exists(fs::symlink_status(path, ignored))) return;
  const std::string what =
      fs::exists(status) || !fs::is_symlink(path, ignored)
          ? "not a folder"
          : fmt::format("a link to {}, which is not there", fs::read_symlink(path, ignored).string());
  fail_by_obstacle(run, name, what, "a folder");
}

// "a, b (and 3 more)"
std::string first_names(std::vector<std::string> names) {
  constexpr std::size_t most_names = 20;
  const std::size_t all = names.size();
  names.resize(std::min(all, most_names));
  for (std::string& name : names) name = one_line(name);
  return fmt::format("{}{}", fmt::join(names, ", "),
                     all > names.size() ? fmt::format(" (and {} more)", all - names.size()) : "");
}

bool may_be_searched(const fs::path& folder) {
  return ::access(folder.c_str(), R_OK | X_OK) == 0;
}

}  // namespace

void check_no_obstacle(const fs::path& run) {
  for (const char* const name : folders_of_files) check_folder(run, name);
  check_files(run, {}, is_name_of_any_run);
  check_files(run, folders_of_files[0], is_checkpoint_name);
}

void warn_of_others(const fs::path& run) {
  const std::vector<std::string> names = names_of_others(run);
  if (!names.empty())
    fmt::print("warning: {} also holds {}, which {} not of the new run\n", one_line(run.string()),
               first_names(names), names.size() == 1 ? "is" : "are");
  std::vector<std::string> closed;
  for (const std::string& name : folders_inside(run))
    if (!may_be_searched(run / name)) closed.push_back((run / name).string());
  if (!closed.empty())
    fmt::print(
        "warning: {} cannot be looked into (no permission); results of a probe there stay, and are not of the "
        "new run\n",
        first_names(closed));
}

}  // namespace kindred
