// Folders for temporary files that several programs may leave behind, because a killed process removes nothing. Each is
// locked for as long as somebody uses it. The next program of the same user removes those whose locks are free.
#pragma once

#include <kindred/data/files/file_lock.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kindred {

// What they are for, in their names.
inline constexpr std::string_view purpose_of_shards = "shards", purpose_of_launches = "launch";

// The name of the lock in such a folder.
inline constexpr const char* lock_of_temporary_folder = "in-use";

// Locks such a folder: a file in it, and the folder itself where the file system can. What clears the system's folder for
// temporary files (systemd-tmpfiles) would remove a file that nobody has touched for days, and everything beside it, but
// leaves a locked folder alone.
class TemporaryFolderLock {
 public:
  explicit TemporaryFolderLock(const std::filesystem::path& folder);  // makes the file. Throws Error(io)
  ~TemporaryFolderLock();
  TemporaryFolderLock(const TemporaryFolderLock&) = delete;
  TemporaryFolderLock& operator=(const TemporaryFolderLock&) = delete;

  // Each returns false if another owner has a lock, or has removed the folder meanwhile; it never waits. Then a new object
  // is needed to try again. Throws Error(io) if the file system has no locks.
  bool try_alone();
  bool try_shared();

 private:
  bool has_folder(int operation) const;

  std::unique_ptr<FileLock> file_;
  int folder_;  // below 0: it cannot be opened
};

// How the names of this user's folders for that purpose begin: "kindred-shards-1000-".
std::string beginning_of_temporary_folders(std::string_view purpose);

// What lies directly in `parent` under such a name. Errors are none.
std::vector<std::filesystem::path> entries_named(const std::filesystem::path& parent,
                                                 const std::function<bool(const std::string& name)>& is_wanted);

// Of a folder of this user, whether nothing was put into it for a day. Anybody may write to the folder for temporary files,
// so what has the right name may be another user's, or a link: nullopt.
std::optional<bool> own_folder_is_old(const std::filesystem::path& folder);

// Removes the folder if it is this user's and nobody has a lock of it. One without the file may just be being made: it stays
// until it is a day old. Errors are none: the next program tries again.
void remove_if_abandoned(const std::filesystem::path& folder);

// All folders for that purpose directly in `parent`.
void remove_abandoned_folders(const std::filesystem::path& parent, std::string_view purpose);

}  // namespace kindred
