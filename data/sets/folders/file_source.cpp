#include <kindred/data/files/file.h>
#include <kindred/data/sets/folders/file_source.h>

#include <system_error>

namespace kindred::detail {

std::string FileSource::name(std::int64_t i) const {
  std::string path;
  set_path(path, i);
  return path;
}

std::optional<Encoded> FileSource::encoded(std::int64_t i, std::vector<std::uint8_t>& scratch) const {
  thread_local std::string path;  // kept, so that loading an image allocates nothing
  set_path(path, i);
  Encoded file;
  file.reason = read_file(path, limits().max_file_bytes, scratch);
  file.bytes = scratch;
  return file;
}

std::optional<std::uint64_t> FileSource::stored_bytes(std::int64_t i) const {
  thread_local std::string path;
  set_path(path, i);
  std::error_code unreadable;
  const std::uintmax_t bytes = std::filesystem::file_size(path, unreadable);
  return unreadable ? 0 : bytes;
}

void FileSource::set_path(std::string& path, std::int64_t i) const {
  const auto at = static_cast<std::size_t>(i);
  const std::string_view file = names_[at];
  if (file.starts_with('/'))
    path.assign(file);
  else
    path.assign(folders_[folder_of_[at]]).append(file);
}

}  // namespace kindred::detail
