#include <fcntl.h>  // defines: open
#include <kindred/data/files/byte_reader.h>
#include <kindred/data/files/listing_error.h>
#include <kindred/engine/files/system_message.h>
#include <sys/stat.h>  // defines: fstat, S_ISREG
#include <unistd.h>    // defines: pread, close

#include <cerrno>
#include <cstring>
#include <system_error>

namespace kindred {
std::string MemoryReader::read(std::uint64_t offset, std::span<std::uint8_t> out) const {
  if (offset > bytes_.size() || out.size() > bytes_.size() - offset) return "ends too early";
  if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
  return {};
}

FileReader::FileReader(const std::string& path) {
  // O_NONBLOCK: otherwise opening a FIFO without a writer would wait for ever. It changes nothing for regular
  // files.
  file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file_ < 0) {
    const std::error_code error(errno, std::generic_category());
    reason_ = "cannot be opened: " + error.message();
    check_own_lack(path + ": " + reason_, error);
    return;
  }
  struct stat status {};
  if (::fstat(file_, &status) != 0) {
    reason_ = "cannot be examined: " + system_message();
  } else if (!S_ISREG(status.st_mode)) {
    reason_ = S_ISDIR(status.st_mode) ? "is a folder, not a file" : "is not a regular file";
  } else {
    size_ = static_cast<std::uint64_t>(status.st_size);
  }
}

FileReader::~FileReader() {
  if (file_ >= 0) ::close(file_);
}

std::string FileReader::read(std::uint64_t offset, std::span<std::uint8_t> out) const {
  std::size_t filled = 0;
  while (filled < out.size()) {
    const ssize_t got =
        ::pread(file_, out.data() + filled, out.size() - filled, static_cast<off_t>(offset + filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return "cannot be read: " + system_message();
    if (got == 0) return "ends too early: it was cut, or shrank";
    filled += static_cast<std::size_t>(got);
  }
  return {};
}

}  // namespace kindred
