#include <kindred/apps/training/run/takeover/set_aside.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/make_folders.h>
#include <kindred/engine/files/system_message.h>

#include <unistd.h>  // defines: rmdir

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::symlink_status(path, ignored).type() == fs::file_type::directory;
}

// The folder of a probe inside the run's.
bool is_of_probe_inside(const fs::path& file) {
  return file.has_parent_path() && !is_folder_of_files(file.parent_path());
}

void make_folder_of(const fs::path& file) {
  make_folders(file.parent_path().string(), file.parent_path());
}

}  // namespace

SetAside::SetAside(fs::path folder, FolderOf what, FileOperations& files)
    : folder_(std::move(folder)), what_(what), files_(files) {
  const std::string prefix = what == FolderOf::run ? ".kindred-run-" : ".kindred-probe-";
  moving_ = {prefix + "moving", prefix + "part"};
  earlier_ = {prefix + "earlier", prefix + "part"};
}

bool SetAside::is_there() const {
  return is_folder(folder_ / moving_.outer) || is_folder(folder_ / earlier_.outer);
}

fs::path SetAside::place_of(const std::string& name) const {
  const fs::path here = folder_ / name;
  if (is_folder(folder_ / moving_.outer)) {  // some files have moved, and the others are in place
    const fs::path hidden = folder_ / moving_.outer / name;
    std::error_code ignored;
    return fs::exists(hidden, ignored) ? hidden : here;
  }
  const bool belongs_back = is_folder(folder_ / earlier_.outer) && !holds_save(folder_, what_);
  return belongs_back ? folder_ / earlier_.outer / name : here;
}

void SetAside::move_away() {
  check(!is_there(), ExitCode::io,
        "{}: earlier results, or files that are not Kindred's, are in {} or {}; move them to another place",
        folder_.string(), moving_.outer, earlier_.outer);
  make_folder_of(folder_ / moving_.outer / "any");
  try {
    move_files({}, moving_);
    rename(folder_ / moving_.outer, folder_ / earlier_.outer);
    sync_folder_of(folder_ / earlier_.outer, files_);
  } catch (const Error&) {
    try {
      move_back();
    } catch (const Error&) {  // the next start tries again
    }
    throw;
  }
}

void SetAside::move_back() {
  if (!is_folder(folder_ / moving_.outer)) {
    remove_new_files();
    rename(folder_ / earlier_.outer, folder_ / moving_.outer);
  }
  move_files(moving_, {});
  remove_folders(moving_);
}

void SetAside::remove() {
  const std::vector<fs::path> files = own_files(folder_, what_, earlier_);
  std::error_code ignored;
  for (const fs::path& file : files) fs::remove(path_at(folder_, file, earlier_), ignored);
  remove_folders(earlier_);
  // Of the folders of probes, those that are empty now. rmdir removes neither a folder that holds something nor
  // a link.
  for (const fs::path& file : files)
    if (is_of_probe_inside(file))
      for (fs::path at = file.parent_path(); !at.empty(); at = at.parent_path())
        ::rmdir((folder_ / at).c_str());
}

bool SetAside::put_right() {
  if (!is_there()) return false;
  if (!is_folder(folder_ / moving_.outer) && holds_save(folder_, what_)) {
    remove();
    return false;
  }
  move_back();
  return true;
}

void SetAside::move_files(const HidingPlace& from, const HidingPlace& to) {
  for (const fs::path& file : own_files(folder_, what_, from)) {
    make_folder_of(path_at(folder_, file, to));
    rename(path_at(folder_, file, from), path_at(folder_, file, to));
  }
}

void SetAside::rename(const fs::path& from, const fs::path& to) {
  const bool done = files_.rename(from.c_str(), to.c_str()) == 0;
  const std::string reason = done ? "" : system_message();
  check(done, ExitCode::io, "{} cannot be moved to {}: {}; check the folder's permissions and its disk",
        from.string(), to.string(), reason);
}

void SetAside::remove_new_files() {
  std::vector<fs::path> files = own_files(folder_, what_);
  // A classifier, and its result, are the run's only as long as the other files say so. If this ends half-way, the next
  // start must still know whose they are.
  std::stable_partition(files.begin(), files.end(),
                        [](const fs::path& file) { return is_own_name(file.string(), FolderOf::probe); });
  for (const fs::path& file : files)
    if (!is_of_probe_inside(file) && !is_report(folder_ / file)) remove_own(folder_ / file);
  for (const char* const name : folders_of_files) ::rmdir((folder_ / name).c_str());  // if the new run made it
}

void SetAside::remove_folders(const HidingPlace& place) {
  for (const std::string& name : folders_inside(folder_)) ::rmdir((folder_ / name / place.inner).c_str());
  for (const char* const name : folders_of_files) ::rmdir((folder_ / name / place.inner).c_str());
  ::rmdir((folder_ / place.outer).c_str());  // last, because it says what state the folder is in
}

}  // namespace kindred
