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

bool try_flock(int file, int operation, const std::filesystem::path& path) {
  while (::flock(file, operation | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return false;
    fail(ExitCode::io, "{}: cannot be locked: {}; give a folder on another file system", path.string(),
         system_message());
  }
  return true;
}

}  // namespace

FileLock::FileLock(const std::filesystem::path& path) : path_(path) {
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  check(file_ >= 0, ExitCode::io, "{}: cannot be opened: {}", path.string(), system_message());
}

FileLock::~FileLock() {
  ::close(file_);
}

bool FileLock::try_alone() {
  return try_flock(file_, LOCK_EX, path_);
}

bool FileLock::try_shared() {
  return try_flock(file_, LOCK_SH, path_);
}

bool FileLock::is_current() const {
  struct stat locked {
  }, now{};
  return ::fstat(file_, &locked) == 0 && ::stat(path_.c_str(), &now) == 0 && locked.st_ino == now.st_ino &&
         locked.st_dev == now.st_dev;
}

}  // namespace kindred
