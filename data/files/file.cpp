#include <fcntl.h>  // defines: open
#include <fmt/core.h>
#include <kindred/data/files/file.h>
#include <kindred/data/files/listing_error.h>
#include <kindred/engine/files/system_message.h>
#include <sys/stat.h>  // defines: fstat, S_ISREG
#include <unistd.h>    // defines: read, close

#include <cerrno>
#include <system_error>

namespace kindred {
namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

}  // namespace

std::string read_file(const std::string& path, std::size_t max_bytes, std::vector<std::uint8_t>& bytes) {
  bytes.clear();
  // O_NONBLOCK: otherwise opening a FIFO without a writer would wait for ever. It changes nothing for regular
  // files.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) {
    const std::error_code error(errno, std::generic_category());
    const std::string reason = "cannot be opened: " + error.message();
    check_own_lack(path + ": " + reason, error);
    return reason;
  }
  struct stat status {};
  if (::fstat(file.fd, &status) != 0) return "cannot be examined: " + system_message();
  if (S_ISDIR(status.st_mode)) return "is a folder, not a file";
  if (!S_ISREG(status.st_mode)) return "is not a regular file";
  if (static_cast<std::uint64_t>(status.st_size) > max_bytes) {
    return fmt::format("has {} bytes, more than the limit of {}", status.st_size, max_bytes);
  }
  // Reads to the end of the file and not to the reported size, which may have changed since.
  bytes.resize(static_cast<std::size_t>(status.st_size) + 1);
  std::size_t filled = 0;
  for (;;) {
    const ssize_t got = ::read(file.fd, bytes.data() + filled, bytes.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      bytes.clear();
      return "cannot be read: " + system_message();
    }
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
    if (filled > max_bytes) {
      bytes.clear();
      return fmt::format("has grown beyond the limit of {} bytes", max_bytes);
    }
    if (filled == bytes.size()) bytes.resize(2 * bytes.size());
  }
  bytes.resize(filled);
  return {};
}

FileContent read_file(const std::string& path, std::size_t max_bytes) {
  FileContent content;
  content.reason = read_file(path, max_bytes, content.bytes);
  return content;
}

}  // namespace kindred
