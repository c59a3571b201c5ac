// Writing a file so that it is there whole or not at all.
//
// The bytes go to a temporary file in the same folder, reach the disk (fsync), and then take the name of the
// file in one step (rename). Whatever fails, a full disk above all: the previous file stays as it was, the
// temporary is removed, and an Error(io) says what to do. A file that is killed half-way leaves a
// ".kindred-*.tmp" behind.
#pragma once

#include <sys/types.h>  // defines: ssize_t, mode_t, off_t

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>

namespace kindred {

// The system calls that a file is written with, so that tests can make any of them fail. Each returns what the
// call of its name returns, and sets errno.
class FileOperations {
 public:
  virtual ~FileOperations() = default;
  virtual int open(const char* path, int flags, mode_t mode);
  virtual ssize_t write(int file, const void* data, std::size_t bytes);
  virtual ssize_t pwrite(int file, const void* data, std::size_t bytes, off_t offset);
  virtual int fsync(int file);
  virtual int close(int file);
  virtual int rename(const char* from, const char* to);
  virtual int unlink(const char* path);
};

FileOperations& system_files();

// Advice for the errno of a failed write: "the disk is full: free some space".
const char* what_to_do_about(int error);

// Brings a rename in the folder of `path` to the disk: without this it may be lost when the power fails.
void sync_folder_of(const std::filesystem::path& path, FileOperations& files = system_files());

class AtomicFile {
 public:
  // Opens the temporary. `path` may be a symbolic link: then the file it points to is replaced. The new file
  // has the permissions 0644, less the umask.
  explicit AtomicFile(const std::filesystem::path& path, FileOperations& files = system_files());
  ~AtomicFile();  // without commit(): removes the temporary
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t bytes);
  // Replaces bytes that were written before: for headers that say how much followed.
  void overwrite(std::uint64_t offset, const void* data, std::size_t bytes);
  void commit();  // the new file takes the place of the old one; nothing may be written after it

 private:
  [[noreturn]] void fail_with_errno(const char* what) const;

  FileOperations& files_;
  std::filesystem::path shown_;  // as the caller wrote it, for messages
  std::filesystem::path path_;
  std::filesystem::path temporary_;  // empty once it is gone
  int file_ = -1;
};

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes,
                           FileOperations& files = system_files());

}  // namespace kindred
