#include <kindred/apps/console/ending/made_folders.h>
#include <kindred/apps/similarity/index_folder.h>
#include <kindred/data/files/file_lock.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/make_folders.h>
#include <kindred/engine/files/system_message.h>

#include <fcntl.h>   // defines: open
#include <unistd.h>  // defines: close

#include <algorithm>
#include <exception>
#include <system_error>
#include <utility>

namespace kindred {
namespace {

namespace fs = std::filesystem;

bool is_left_temporary(const std::string& name) {
  return name.starts_with(".kindred-") && name.ends_with(".tmp");
}

// Whether a file of this name may be removed from an index that does not name it.
bool belongs_to_index(const std::string& name) {
  return number_in_name(name).has_value() || is_left_temporary(name);
}

// Throws Error(io): what is not seen would be replaced.
std::vector<std::string> names_in_folder(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    names.push_back(at->path().filename().string());
  check(!error, ExitCode::io, "{}: the folder cannot be listed: {}; make it readable", folder.string(),
        error.message());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

IndexFolder::IndexFolder(const fs::path& folder) : folder_(folder) {}

IndexFolder::IndexFolder(IndexFolder&& other) noexcept
    : folder_(std::move(other.folder_)),
      made_(std::move(other.made_)),
      is_new_(other.is_new_),
      may_remove_(other.may_remove_),
      lock_(std::exchange(other.lock_, -1)),
      content_(std::move(other.content_)) {
  other.folder_.clear();
}

void IndexFolder::check_takeable() const {
  std::error_code ignored;
  const std::string shown = folder_.string();
  check(!folder_.empty(), ExitCode::usage, "--out: the name is empty; give the name of a folder");
  if (!fs::exists(folder_, ignored)) return;
  check(fs::is_directory(folder_, ignored), ExitCode::usage,
        "--out {}: it is a file; give the name of a folder for the index", shown);
  const bool is_begun = is_begun_index(folder_);
  check(is_begun || !is_index(folder_), ExitCode::usage,
        "--out {}: it holds an index already; add images to it by --add, or give another folder", shown);
  for (const std::string& name : names_in_folder(folder_)) {
    const bool is_own =
        is_left_temporary(name) || (is_begun && (belongs_to_index(name) || name == index_file_name));
    check(is_own, ExitCode::usage,
          "--out {}: the folder holds other things, such as {}; give a new or an empty folder", shown, name);
  }
}

void IndexFolder::lock() {
  lock_ = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  check(lock_ >= 0, ExitCode::io, "{}: the folder cannot be opened: {}; make it readable", folder_.string(),
        system_message());
  const LockOutcome outcome = try_to_lock(lock_);
  if (outcome == LockOutcome::impossible)
    fmt::print(
        "warning: {}: this file system has no locks, so let only one program at a time write into the index\n",
        folder_.string());
  if (outcome != LockOutcome::taken) return;
  ::close(std::exchange(lock_, -1));
  fail(ExitCode::usage, "{}: another `similar` is writing into this index; wait for it", folder_.string());
}

IndexFolder IndexFolder::made(const fs::path& folder) {
  IndexFolder made(folder);
  made.check_takeable();
  std::error_code error;
  for (fs::path at = folder; !at.empty() && !fs::exists(at, error); at = at.parent_path())
    if (at.has_filename()) made.made_.push_back(at);  // "INDEX/" ends with an empty name
  make_folders("--out " + folder.string(), folder);
  for (const fs::path& each : made.made_) note_made_folder(each);
  made.lock();
  made.check_takeable();  // another program may have made an index meanwhile
  made.content_.is_complete = false;
  made.is_new_ = true;
  write_index(folder, made.content_);
  made.may_remove_ = true;
  made.remove_unnamed();
  return made;
}

IndexFolder IndexFolder::of(const fs::path& folder) {
  IndexFolder whole(folder);
  read_index(folder);  // a folder that is no index is not locked
  whole.lock();
  whole.content_ = read_index(folder);
  whole.may_remove_ = true;
  whole.remove_unnamed();
  return whole;
}

IndexFolder::~IndexFolder() {
  if (folder_.empty()) return;  // moved away
  std::error_code ignored;
  if (may_remove_) remove_unnamed();
  if (is_new_) fs::remove(folder_ / index_file_name, ignored);
  for (const fs::path& made : made_) fs::remove(made, ignored);  // only if it is empty
  if (lock_ >= 0) ::close(lock_);
}

void IndexFolder::remove_unnamed() const noexcept {
  try {
    const std::vector<std::string> named = names_in_index(content_);
    std::error_code ignored;
    for (const std::string& name : names_in_folder(folder_))
      if (belongs_to_index(name) && std::find(named.begin(), named.end(), name) == named.end())
        fs::remove(folder_ / name, ignored);
  } catch (const std::exception&) {  // they are removed by the next program
  }
}

int IndexFolder::next_number() const {
  int next = 0;
  std::vector<std::string> names = names_in_folder(folder_);
  for (std::string& name : names_in_index(content_)) names.push_back(std::move(name));
  for (const std::string& name : names)
    if (const std::optional<int> number = number_in_name(name)) next = std::max(next, *number + 1);
  return next;
}

void IndexFolder::commit(const IndexContent& content) {
  IndexContent named = content;
  // An error may come when the name is there already. Then nobody knows which of the two is on the disk, and nothing is removed.
  may_remove_ = is_new_ = false;
  write_index(folder_, named);
  content_ = std::move(named);
  may_remove_ = true;
  for (const fs::path& made : std::exchange(made_, {})) forget_made_folder(made);
  remove_unnamed();
}

}  // namespace kindred
