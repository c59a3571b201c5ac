#include <kindred/engine/error.h>
#include <kindred/engine/files/atomic_file.h>

#include <fcntl.h>   // defines: open and its flags
#include <unistd.h>  // defines: write, fsync, close, getpid

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <random>
#include <system_error>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// Repeats a call while signals interrupt it.
template <typename Call>
auto retried(Call&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// The file that a symbolic link points to, or the path itself.
fs::path resolved(const fs::path& path) {
  std::error_code error;
  if (!fs::is_symlink(path, error)) return path;
  const fs::path target = fs::weakly_canonical(path, error);
  return error ? path : target;
}

// A device or a pipe must not be replaced by a regular file. A link that is not followed may point to one.
void check_replaceable(const fs::path& path, bool follows_links) {
  std::error_code error;
  const fs::file_status status = follows_links ? fs::status(path, error) : fs::symlink_status(path, error);
  const bool is_replaceable = fs::is_regular_file(status) || fs::is_directory(status) || fs::is_symlink(status);
  check(!fs::exists(status) || is_replaceable, ExitCode::usage,
        "{} is a device, a pipe or a socket; give the name of a file", path.string());
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

[[noreturn]] void fail_writing(const fs::path& path, const char* what) {
  const int error = errno;
  std::error_code ignored;
  const bool takes_no_files = error == ENOENT && fs::is_directory(folder_of(path), ignored);  // /proc
  fail(ExitCode::io, "{} {}: {}; {}", path.string(), what, std::generic_category().message(error),
       takes_no_files ? "choose a folder that can be written" : what_to_do_about(error));
}

// Returns false and sets errno if the file cannot be brought to the disk.
bool synced(FileOperations& files, int file) {
  if (retried([&] { return files.fsync(file); }) == 0) return true;
  return errno == EINVAL || errno == EROFS || errno == ENOTSUP;  // this kind of file system has no fsync
}

}  // namespace

const char* what_to_do_about(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "the disk is full: free some space";
    case EACCES:
    case EPERM:
    case EROFS:
      return "check the permissions of its folder, or choose another folder";
    case ENOENT:
      return "its folder does not exist: create it";
    case ENOTDIR:
      return "a part of its path is not a folder: choose another folder";
    case EISDIR:
      return "there is a folder of that name: choose another name";
    case EFBIG:
      return "files may not grow that large here: raise the limit (ulimit -f)";
    default:
      return "check the disk";
  }
}

int FileOperations::open(const char* path, int flags, mode_t mode) {
  return ::open(path, flags, mode);
}
ssize_t FileOperations::write(int file, const void* data, std::size_t bytes) {
  return ::write(file, data, bytes);
}
ssize_t FileOperations::pwrite(int file, const void* data, std::size_t bytes, off_t offset) {
  return ::pwrite(file, data, bytes, offset);
}
int FileOperations::fsync(int file) {
  return ::fsync(file);
}
int FileOperations::close(int file) {
  return ::close(file);
}
int FileOperations::rename(const char* from, const char* to) {
  return std::rename(from, to);
}
int FileOperations::unlink(const char* path) {
  return ::unlink(path);
}

FileOperations& system_files() {
  static FileOperations files;
  return files;
}

FileOperations& system_files_without_links() {
  struct WithoutLinks : FileOperations {
    bool follows_links() const override { return false; }
  };
  static WithoutLinks files;
  return files;
}

AtomicFile::AtomicFile(const fs::path& path, FileOperations& files)
    : files_(files), shown_(path), path_(files.follows_links() ? resolved(path) : path) {
  check_replaceable(path_, files.follows_links());
  // The temporary has a short name, because the name of the file itself may already have the maximum length.
  // O_EXCL makes sure that the temporary of another process is never used.
  std::random_device random;
  do {
    temporary_ = folder_of(path_) / fmt::format(".kindred-{}-{:08x}.tmp", ::getpid(), random());
    file_ =
        retried([&] { return files_.open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644); });
  } while (file_ < 0 && errno == EEXIST);
  if (file_ < 0) fail_with_errno("cannot be written");
}

AtomicFile::~AtomicFile() {
  if (file_ >= 0) files_.close(file_);
  if (!temporary_.empty()) files_.unlink(temporary_.c_str());
}

void AtomicFile::fail_with_errno(const char* what) const {
  fail_writing(shown_, what);
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  constexpr std::size_t most_at_once = std::size_t{1} << 30;  // Linux writes at most 2 GiB in one call
  const auto* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = retried([&] { return files_.write(file_, next, std::min(bytes, most_at_once)); });
    if (written == 0) errno = ENOSPC;  // no progress and no error: treat the disk as full
    if (written <= 0) fail_with_errno("cannot be written");
    next += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::overwrite(std::uint64_t offset, const void* data, std::size_t bytes) {
  const auto* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written =
        retried([&] { return files_.pwrite(file_, next, bytes, static_cast<off_t>(offset)); });
    if (written == 0) errno = EIO;
    if (written <= 0) fail_with_errno("cannot be written");
    next += written;
    offset += static_cast<std::uint64_t>(written);
    bytes -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::commit() {
  if (!synced(files_, file_)) fail_with_errno("cannot be brought to the disk");
  const int closed = files_.close(std::exchange(file_, -1));  // not repeated: after EINTR it is closed already
  if (closed != 0 && errno != EINTR) fail_with_errno("cannot be written");
  if (files_.rename(temporary_.c_str(), path_.c_str()) != 0) fail_with_errno("cannot be replaced");
  temporary_.clear();
  sync_folder_of(path_, files_);  // even if this fails, the file is complete
}

void sync_folder_of(const fs::path& path, FileOperations& files) {
  const fs::path parent = folder_of(path);
  const int folder = retried([&] { return files.open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0); });
  if (folder < 0) return;  // a folder may be writable but not readable
  const bool done = synced(files, folder);
  const int error = errno;
  files.close(folder);
  errno = error;
  if (!done) fail_writing(path, "was written, but its folder cannot be brought to the disk");
}

void write_file_atomically(const fs::path& path, std::string_view bytes, FileOperations& files) {
  AtomicFile file(path, files);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

}  // namespace kindred
