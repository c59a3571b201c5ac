// A lock that processes of one machine agree on by a file. The system gives it up when its owner ends, however that
// happens.
#pragma once

#include <filesystem>

namespace kindred {

enum class LockOutcome {
  locked,
  taken,       // by another owner
  impossible,  // there are no locks on this file system, or it has no room for one; errno says why
};

// Locks an open file or folder for its owner alone, until it is closed. Never waits.
LockOutcome try_to_lock(int file);
// The same beside others that share it. Who only asks whether somebody has the lock gives it up at once.
LockOutcome try_to_share(int file);

class FileLock {
 public:
  // Opens the file, and makes it if it does not exist. Throws Error(io).
  explicit FileLock(const std::filesystem::path& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  // Each returns false if another owner has the lock; it never waits. Another FileLock of the same process is another owner.
  bool try_alone();   // no other owner
  bool try_shared();  // others that share it
  // Whether `path` still is the file that was locked: its last owner may have removed it.
  bool is_current() const;

 private:
  std::filesystem::path path_;
  int file_ = -1;
};

}  // namespace kindred
