#include <fcntl.h>  // defines: open
#include <kindred/data/files/file_lock.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/system_message.h>
#include <sys/file.h>  // defines: flock
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace kindred {
namespace {

LockOutcome try_flock(int file, int operation) {
  while (::flock(file, operation | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    return errno == EWOULDBLOCK ? LockOutcome::taken : LockOutcome::impossible;
  }
  return LockOutcome::locked;
}

bool is_locked_now(LockOutcome outcome, const std::filesystem::path& path) {
  check(outcome != LockOutcome::impossible, ExitCode::io,
        "{}: cannot be locked: {}; give a folder on another file system", path.string(), system_message());
  return outcome == LockOutcome::locked;
}

}  // namespace

LockOutcome try_to_lock(int file) {
  return try_flock(file, LOCK_EX);
}

LockOutcome try_to_share(int file) {
  return try_flock(file, LOCK_SH);
}

FileLock::FileLock(const std::filesystem::path& path) : path_(path) {
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  check(file_ >= 0, ExitCode::io, "{}: cannot be opened: {}", path.string(), system_message());
}

FileLock::~FileLock() {
  ::close(file_);
}

bool FileLock::try_alone() {
  return is_locked_now(try_flock(file_, LOCK_EX), path_);
}

bool FileLock::try_shared() {
  return is_locked_now(try_flock(file_, LOCK_SH), path_);
}

bool FileLock::is_current() const {
  struct stat locked {
  }, now{};
  return ::fstat(file_, &locked) == 0 && ::stat(path_.c_str(), &now) == 0 && locked.st_ino == now.st_ino &&
         locked.st_dev == now.st_dev;
}

}  // namespace kindred
