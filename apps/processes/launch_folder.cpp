#include <kindred/apps/processes/connection.h>
#include <kindred/apps/processes/launch_folder.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/system_message.h>

#include <stdlib.h>    // defines: mkdtemp
#include <sys/stat.h>  // defines: lstat
#include <unistd.h>    // defines: geteuid

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string_view>
#include <system_error>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr int most_tries = 100;

// A socket's path must be short, so a long TMPDIR is not used.
std::string parent_of_launch_folders() {
  constexpr std::size_t longest = 50;
  const char* const asked = std::getenv("TMPDIR");
  return asked != nullptr && *asked == '/' && std::strlen(asked) <= longest ? asked : "/tmp";
}

bool is_older_than_a_day(const struct stat& status) {
  constexpr std::time_t day = 24 * 60 * 60;
  return std::time(nullptr) - status.st_mtime > day;
}

// "kindred-Ab3dEf": so versions called it that held no lock.
bool has_name_without_lock(const fs::path& folder) {
  constexpr std::string_view beginning = "kindred-";
  constexpr std::size_t drawn = 6;
  const std::string name = folder.filename();
  return name.size() == beginning.size() + drawn && name.starts_with(beginning) &&
         std::all_of(name.begin() + beginning.size(), name.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
         });
}

void remove_if_left_without_lock(const fs::path& folder) {
  struct stat status {
  }, of_socket{};
  const fs::path socket = folder / launcher_socket_name;
  const bool is_a_launchers = ::lstat(folder.c_str(), &status) == 0 && S_ISDIR(status.st_mode) &&
                              status.st_uid == ::geteuid() && ::lstat(socket.c_str(), &of_socket) == 0 &&
                              S_ISSOCK(of_socket.st_mode);
  if (!is_a_launchers || !is_older_than_a_day(status) || !nobody_listens_at(socket)) return;
  std::error_code ignored;
  fs::remove_all(folder, ignored);
}

}  // namespace

LaunchFolder::LaunchFolder() {
  const std::string parent = parent_of_launch_folders();
  remove_left_launch_folders(parent);
  // Another launcher may take a new folder for one that was left, before it has its lock.
  for (int i = 0; i < most_tries; ++i) {
    path_ = fmt::format("{}/{}XXXXXX", parent, beginning_of_temporary_folders(purpose_of_launches));
    check(::mkdtemp(path_.data()) != nullptr, ExitCode::io,
          "{}: {}; set TMPDIR to a folder that can be written to", parent, system_message());
    try {
      in_use_ = std::make_unique<TemporaryFolderLock>(path_);
      if (in_use_->try_alone()) return;
      in_use_.reset();
    } catch (const Error&) {
      in_use_.reset();
      if (fs::exists(path_)) return;
    }
  }
  fail(ExitCode::io, "{}: folders in it vanish as soon as they are made; set TMPDIR to another folder", parent);
}

LaunchFolder::~LaunchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void remove_left_launch_folders(const fs::path& parent) {
  remove_abandoned_folders(parent, purpose_of_launches);
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator entry(parent, error); !error && entry != fs::directory_iterator();
       entry.increment(error))
    if (has_name_without_lock(entry->path())) found.push_back(entry->path());
  for (const fs::path& folder : found) remove_if_left_without_lock(folder);
}

void remove_left_shard_folders() {
  std::error_code error;
  const fs::path parent = fs::temp_directory_path(error);
  if (!error) remove_abandoned_folders(parent, purpose_of_shards);
}

}  // namespace kindred
