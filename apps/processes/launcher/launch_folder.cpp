#include <kindred/apps/processes/connection.h>
#include <kindred/apps/processes/launcher/launch_folder.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/system_message.h>

#include <stdlib.h>  // defines: mkdtemp
#include <unistd.h>  // defines: access

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <system_error>

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

// "kindred-Ab3dEf": so versions called it that held no lock.
bool is_name_without_lock(const std::string& name) {
  constexpr std::string_view beginning = "kindred-";
  constexpr std::size_t drawn = 6;
  return name.size() == beginning.size() + drawn && name.starts_with(beginning) &&
         std::all_of(name.begin() + beginning.size(), name.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
         });
}

void remove_if_left_without_lock(const fs::path& folder) {
  const fs::path socket = folder / launcher_socket_name;
  std::error_code ignored;
  const bool is_a_launchers =
      own_folder_is_old(folder).value_or(false) && fs::is_socket(fs::symlink_status(socket, ignored));
  if (!is_a_launchers || !nobody_listens_at(socket)) return;
  fs::remove_all(folder, ignored);
}

}  // namespace

LaunchFolder::LaunchFolder() : LaunchFolder(parent_of_launch_folders()) {}

LaunchFolder::LaunchFolder(const std::string& parent) {
  remove_left_launch_folders(parent);
  // Another launcher may take a new folder for one that was left, before it has its lock.
  for (int i = 0; i < most_tries; ++i) {
    path_ = fmt::format("{}/{}XXXXXX", parent, beginning_of_temporary_folders(purpose_of_launches));
    const bool is_made = ::mkdtemp(path_.data()) != nullptr;  // before the message is asked for
    check(is_made, ExitCode::io, "{}: {}; set TMPDIR to a folder that can be written to", parent,
          system_message());
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

std::unique_ptr<LaunchFolder> launch_folder_in_memory() {
  constexpr const char* memory = "/dev/shm";
  if (::access(memory, W_OK | X_OK) != 0) return nullptr;
  try {
    return std::make_unique<LaunchFolder>(memory);
  } catch (const Error&) {
    return nullptr;
  }
}

void remove_left_launch_folders(const fs::path& parent) {
  remove_abandoned_folders(parent, purpose_of_launches);
  for (const fs::path& folder : entries_named(parent, is_name_without_lock))
    remove_if_left_without_lock(folder);
}

void remove_left_shard_folders() {
  std::error_code error;
  const fs::path parent = fs::temp_directory_path(error);
  if (!error) remove_abandoned_folders(parent, purpose_of_shards);
}

}  // namespace kindred
