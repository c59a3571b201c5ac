// Files that fail on demand, at any of the system calls that write a file.
#pragma once

#include <kindred/engine/files/atomic_file.h>

#include <cerrno>

namespace kindred {

// Fails the n-th of all calls (counted from 0), and only that.
struct FailingCall : FileOperations {
  explicit FailingCall(int failing, int error_number = EIO) : failing_call(failing), error(error_number) {}
  int failing_call;
  int error;
  int calls = 0;

  bool fails() {
    if (calls++ != failing_call) return false;
    errno = error;
    return true;
  }
  int open(const char* path, int flags, mode_t mode) override {
    return fails() ? -1 : FileOperations::open(path, flags, mode);
  }
  ssize_t write(int file, const void* data, std::size_t bytes) override {
    if (!fails()) return FileOperations::write(file, data, bytes);
    const int reason = errno;
    FileOperations::write(file, data, bytes / 2);  // a disk that becomes full writes a part
    errno = reason;
    return -1;
  }
  int fsync(int file) override { return fails() ? -1 : FileOperations::fsync(file); }
  int close(int file) override {
    const bool failed = fails();
    const int reason = errno;
    const int result = FileOperations::close(file);
    errno = reason;
    return failed ? -1 : result;
  }
  int rename(const char* from, const char* to) override {
    return fails() ? -1 : FileOperations::rename(from, to);
  }
};

}  // namespace kindred
