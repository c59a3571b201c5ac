#include <kindred/engine/error.h>
#include <kindred/engine/files/atomic_file.h>
#include <kindred/engine/files/code_cache.h>

#include <xxhash.h>

#include <fcntl.h>     // defines: O_NOFOLLOW
#include <sys/stat.h>  // defines: lstat, fstat
#include <unistd.h>    // defines: geteuid

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr off_t largest_code = off_t{16} << 20;  // the code of a plan has about 200 KB

// Returns true if the file belongs to the user and nobody else can change it.
bool is_private(const struct stat& status) {
  return status.st_uid == geteuid() && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

bool is_private_folder(const fs::path& folder) {
  struct stat status {};
  return ::lstat(folder.c_str(), &status) == 0 && S_ISDIR(status.st_mode) && is_private(status);
}

std::optional<std::string> read_private_file(const fs::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  std::optional<std::string> text;
  struct stat status {};
  if (::fstat(file, &status) == 0 && S_ISREG(status.st_mode) && is_private(status) &&
      status.st_size <= largest_code) {
    text.emplace(static_cast<std::size_t>(status.st_size), '\0');
    std::size_t done = 0;
    for (ssize_t count = 0; done < text->size(); done += static_cast<std::size_t>(count))
      if (count = ::read(file, text->data() + done, text->size() - done); count <= 0) break;
    text->resize(done);
  }
  ::close(file);
  return text;
}

// "<checksum of the code>\n<name>\n". It is checked on reading, because two names may lead to one file name,
// and a disk may fail.
std::string heading_of_code(const std::string& name, const std::string& code) {
  return fmt::format("{:016x}\n{}\n", XXH3_64bits(code.data(), code.size()), name);
}

void remove_oldest(const fs::path& folder, std::size_t most) {
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error))
    if (entry.path().extension() == ".plan") files.emplace_back(entry.last_write_time(error), entry.path());
  if (files.size() <= most) return;
  std::sort(files.begin(), files.end());
  for (std::size_t i = 0; i + most < files.size(); ++i) fs::remove(files[i].second, error);
}

fs::path users_folder() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && cache[0] == '/') return fs::path(cache) / "kindred";
  const char* home = std::getenv("HOME");
  return home != nullptr && home[0] == '/' ? fs::path(home) / ".cache" / "kindred" : fs::path();
}

}  // namespace

CodeCache::CodeCache(fs::path folder) : folder_(std::move(folder)) {}

fs::path CodeCache::path_of(const std::string& name) const {
  return folder_ / fmt::format("{:016x}.plan", XXH3_64bits(name.data(), name.size()));
}

std::optional<std::string> CodeCache::find(const std::string& name) const {
  if (folder_.empty() || !is_private_folder(folder_)) return std::nullopt;
  std::optional<std::string> text = read_private_file(path_of(name));
  if (!text) return std::nullopt;
  const std::size_t start = heading_of_code(name, "").size();
  if (text->size() < start) return std::nullopt;
  std::string code = text->substr(start);
  if (text->compare(0, start, heading_of_code(name, code)) != 0) return std::nullopt;
  return code;
}

void CodeCache::remember(const std::string& name, const std::string& code) const {
  if (folder_.empty()) return;
  try {
    if (fs::create_directories(folder_)) fs::permissions(folder_, fs::perms::owner_all);
    if (!is_private_folder(folder_)) return;
    remove_oldest(folder_, most_files - 1);
    const fs::path path = path_of(name);
    write_file_atomically(path, heading_of_code(name, code) + code);
    // The umask may have allowed the user's group to write.
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
  } catch (const std::exception&) {  // ignored (a full disk, a read-only home): it is only a cache
  }
}

const CodeCache& code_cache() {
  static const CodeCache cache(users_folder());
  return cache;
}

}  // namespace kindred
