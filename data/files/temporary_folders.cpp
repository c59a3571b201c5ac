#include <kindred/data/files/file_lock.h>
#include <kindred/data/files/temporary_folders.h>
#include <kindred/engine/error.h>

#include <sys/stat.h>  // defines: lstat
#include <unistd.h>    // defines: geteuid

#include <ctime>
#include <system_error>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr std::time_t seconds_of_a_day = 24 * 60 * 60;

}  // namespace

std::string beginning_of_temporary_folders(std::string_view purpose) {
  return fmt::format("kindred-{}-{}-", purpose, ::geteuid());
}

void remove_if_abandoned(const fs::path& folder) {
  // Anybody may write to the folder for temporary files, so what has the right name may be another user's.
  struct stat status {};
  const bool is_own =
      ::lstat(folder.c_str(), &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == ::geteuid();
  if (!is_own) return;
  std::error_code ignored;
  const fs::path lock = folder / lock_of_temporary_folder;
  if (!fs::exists(lock, ignored)) {
    if (std::time(nullptr) - status.st_mtime > seconds_of_a_day) fs::remove_all(folder, ignored);
    return;
  }
  try {
    FileLock in_use(lock);
    if (in_use.try_alone() && in_use.is_current()) fs::remove_all(folder, ignored);
  } catch (const Error&) {  // a file system without locks, or another program has just removed the folder
  }
}

void remove_abandoned_folders(const fs::path& parent, std::string_view purpose) {
  const std::string beginning = beginning_of_temporary_folders(purpose);
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator entry(parent, error); !error && entry != fs::directory_iterator();
       entry.increment(error))
    if (entry->path().filename().string().starts_with(beginning)) found.push_back(entry->path());
  for (const fs::path& folder : found) remove_if_abandoned(folder);
}

}  // namespace kindred
