// Writes a file so that it appears completely or not at all.
//
// The bytes go to a temporary file in the same folder and reach the disk (fsync). Then the temporary takes the
// name of the file in one step (rename). If anything fails, for example because the disk is full, the previous
// file stays as it was, the temporary is removed, and an Error(io) says what to do. If the process is killed
// half-way, a ".kindred-*.tmp" stays behind.
#pragma once

#include <sys/types.h>  // defines: ssize_t, mode_t, off_t

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>

namespace kindred {

// The system calls used to write a file, so that tests can make any of them fail. Each returns what the call of
// the same name returns, and sets errno.
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
  // What becomes of a symbolic link with the name of the file: true, the file that it points to is replaced; false, the link
  // itself is, and what it points to stays as it is.
  virtual bool follows_links() const { return true; }
};

// The system's own calls. For files that the user names, and so for links too.
FileOperations& system_files();
// The same for files to which the program gives the names, in a folder of its own: links are not followed.
FileOperations& system_files_without_links();

// Advice for the errno of a failed write: "the disk is full: free some space".
const char* what_to_do_about(int error);

// Makes a rename in the folder of `path` durable. Without this call it may be lost in a power failure.
void sync_folder_of(const std::filesystem::path& path, FileOperations& files = system_files());

class AtomicFile {
 public:
  // Opens the temporary file. If `path` is a symbolic link, the file that it points to is replaced, or the link itself
  // (FileOperations::follows_links). The new file has the permissions 0644, minus the umask.
  explicit AtomicFile(const std::filesystem::path& path, FileOperations& files = system_files());
  ~AtomicFile();  // removes the temporary if commit() was not called
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t bytes);
  // Replaces bytes that were written before. For headers that say how much data follows.
  void overwrite(std::uint64_t offset, const void* data, std::size_t bytes);
  void commit();  // the new file replaces the old one; nothing may be written afterwards

 private:
  [[noreturn]] void fail_with_errno(const char* what) const;

  FileOperations& files_;
  std::filesystem::path shown_;  // as the caller wrote it, for error messages
  std::filesystem::path path_;
  std::filesystem::path temporary_;  // empty once it is gone
  int file_ = -1;
};

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes,
                           FileOperations& files = system_files());

}  // namespace kindred
