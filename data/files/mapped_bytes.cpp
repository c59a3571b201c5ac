#include <kindred/data/files/mapped_bytes.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/system_message.h>

#include <sys/mman.h>  // defines: mmap, munmap

namespace kindred {

MappedBytes::MappedBytes(const std::string& path, std::uint64_t bytes, const std::string& advice) {
  const FileReader file(path);
  check(file.reason().empty(), ExitCode::file, "{}: {}; {}", path, file.reason(), advice);
  check(file.size() == bytes, ExitCode::file, "{}: it has {} bytes and was written with {}; {}", path,
        file.size(), bytes, advice);
  size_ = static_cast<std::size_t>(bytes);
  if (size_ == 0) return;
  void* const address = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.descriptor(), 0);
  check(address != MAP_FAILED, ExitCode::file, "{}: cannot be mapped: {}; {}", path, system_message(), advice);
  address_ = static_cast<const std::uint8_t*>(address);
}

MappedBytes::~MappedBytes() {
  if (address_ != nullptr) ::munmap(const_cast<std::uint8_t*>(address_), size_);
}

}  // namespace kindred
