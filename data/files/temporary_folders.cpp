#include <kindred/data/files/file_lock.h>
#include <kindred/data/files/temporary_folders.h>
#include <kindred/engine/error.h>

#include <fcntl.h>     // defines: open
#include <sys/file.h>  // defines: flock
#include <sys/stat.h>  // defines: lstat
#include <unistd.h>    // defines: close, geteuid

#include <cerrno>
#include <ctime>
#include <system_error>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr std::time_t seconds_of_a_day = 24 * 60 * 60;

}  // namespace

std::vector<fs::path> entries_named(const fs::path& parent,
                                    const std::function<bool(const std::string& name)>& is_wanted) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator entry(parent, error); !error && entry != fs::directory_iterator();
       entry.increment(error))
    if (is_wanted(entry->path().filename())) found.push_back(entry->path());
  return found;
}

std::optional<bool> own_folder_is_old(const fs::path& folder) {
  struct stat status {};
  if (::lstat(folder.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != ::geteuid())
    return std::nullopt;
  return std::time(nullptr) - status.st_mtime > seconds_of_a_day;
}

// The file first: while its path leads to it, the folder that is opened after it is the one that it is in.
TemporaryFolderLock::TemporaryFolderLock(const fs::path& folder)
    : file_(std::make_unique<FileLock>(folder / lock_of_temporary_folder)),
      folder_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)) {}

TemporaryFolderLock::~TemporaryFolderLock() {
  file_.reset();  // before the folder, so that whoever gets the folder finds the file free
  if (folder_ >= 0) ::close(folder_);
}

// Where a folder cannot be locked, the file decides.
bool TemporaryFolderLock::has_folder(int operation) const {
  return folder_ < 0 || ::flock(folder_, operation | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

bool TemporaryFolderLock::try_alone() {
  return has_folder(LOCK_EX) && file_->try_alone() && file_->is_current();
}

bool TemporaryFolderLock::try_shared() {
  return has_folder(LOCK_SH) && file_->try_shared() && file_->is_current();
}

std::string beginning_of_temporary_folders(std::string_view purpose) {
  return fmt::format("kindred-{}-{}-", purpose, ::geteuid());
}

void remove_if_abandoned(const fs::path& folder) {
  const std::optional<bool> is_old = own_folder_is_old(folder);
  if (!is_old) return;
  std::error_code ignored;
  if (!*is_old && !fs::exists(folder / lock_of_temporary_folder, ignored)) return;
  try {
    TemporaryFolderLock in_use(folder);
    if (in_use.try_alone()) fs::remove_all(folder, ignored);
  } catch (const Error&) {  // a file system without locks, or another program has just removed the folder
  }
}

void remove_abandoned_folders(const fs::path& parent, std::string_view purpose) {
  const std::string beginning = beginning_of_temporary_folders(purpose);
  const auto is_such = [&](const std::string& name) { return name.starts_with(beginning); };
  for (const fs::path& folder : entries_named(parent, is_such)) remove_if_abandoned(folder);
}

}  // namespace kindred
