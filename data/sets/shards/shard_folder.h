// The folder for shards that commands write (shard_list.h): images are read from them at random, and a command gives its
// bytes once and in order.
#pragma once

#include <kindred/data/files/temporary_folders.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace kindred {

class ShardFolder {
 public:
  // A folder that stays: `path`, which is made if it does not exist. Throws Error(io).
  explicit ShardFolder(const std::string& path);
  // One in the folder for temporary files. Processes of one user that give the same `purpose` share it, also those of
  // different runs; the last of them removes it. What a process left that was killed is removed by the next one that calls
  // this. Throws Error(io).
  static std::shared_ptr<const ShardFolder> temporary(std::string_view purpose);
  ~ShardFolder();
  ShardFolder(const ShardFolder&) = delete;
  ShardFolder& operator=(const ShardFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  bool is_temporary() const { return in_use_ != nullptr; }

 private:
  ShardFolder() = default;

  std::filesystem::path path_;
  // Shared by all who use a temporary folder; null if the folder stays.
  std::unique_ptr<TemporaryFolderLock> in_use_;
};

}  // namespace kindred
