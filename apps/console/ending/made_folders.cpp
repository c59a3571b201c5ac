#include <kindred/apps/console/ending/made_folders.h>

#include <unistd.h>  // defines: rmdir

#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <string>
#include <system_error>

namespace kindred {
namespace {

// One place of the list. The path is written while `is_set` is false, so a handler never sees half of one.
struct NotedFolder {
  std::atomic<bool> is_set{false};
  std::array<char, 4096> path{};
};

std::array<NotedFolder, 16> noted_folders;
std::mutex noted_folders_change;

// The whole path without '/' at its end; empty if there is no memory for it.
std::string whole_path(const std::filesystem::path& folder) noexcept {
  try {
    std::error_code ignored;
    std::string path = std::filesystem::absolute(folder, ignored).string();
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    return path;
  } catch (...) {
    return {};
  }
}

}  // namespace

void note_made_folder(const std::filesystem::path& folder) noexcept {
  const std::string path = whole_path(folder);
  const std::lock_guard lock(noted_folders_change);
  for (NotedFolder& made : noted_folders) {
    if (made.is_set || path.empty() || path.size() >= made.path.size()) continue;
    std::memcpy(made.path.data(), path.c_str(), path.size() + 1);
    made.is_set = true;
    return;
  }
}

void forget_made_folder(const std::filesystem::path& folder) noexcept {
  const std::string path = whole_path(folder);
  const std::lock_guard lock(noted_folders_change);
  for (NotedFolder& made : noted_folders)
    if (made.is_set && path == made.path.data()) made.is_set = false;
}

void remove_empty_made_folders() noexcept {
  for (const NotedFolder& made : noted_folders)
    if (made.is_set) ::rmdir(made.path.data());
}

}  // namespace kindred
