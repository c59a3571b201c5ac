// The launcher's folder (launcher.h): for its socket and for mpirun's files.
#pragma once

#include <kindred/data/files/temporary_folders.h>

#include <filesystem>
#include <memory>
#include <string>

namespace kindred {

// A folder that only this user can enter, in TMPDIR or /tmp. What launchers left there that were killed is removed first.
class LaunchFolder {
 public:
  LaunchFolder();  // throws Error(io)
  // In another folder than TMPDIR. A socket in it may have no place.
  explicit LaunchFolder(const std::string& parent);
  ~LaunchFolder();
  LaunchFolder(const LaunchFolder&) = delete;
  LaunchFolder& operator=(const LaunchFolder&) = delete;
  std::string operator/(const char* name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  // Null on file systems without locks, where nobody removes what is left.
  std::unique_ptr<TemporaryFolderLock> in_use_;
};

// One in the system's shared memory, for what the processes exchange there: if mpirun is killed, nothing else removes it, and
// a container has little of that memory. Null if there is none that can be written to; MPI then finds a place itself.
std::unique_ptr<LaunchFolder> launch_folder_in_memory();

// The name of the launcher's socket in the folder.
inline constexpr const char* launcher_socket_name = "launcher";

// Removes the folders of launchers of this user that are dead, directly in `parent`. One of a version that held no lock is
// known by its socket, and stays while somebody listens there, or until it is a day old.
void remove_left_launch_folders(const std::filesystem::path& parent);

// Those in which processes that were killed had shards (data/sets/shards).
void remove_left_shard_folders();

}  // namespace kindred
