#include <kindred/data/files/temporary_folders.h>
#include <kindred/data/sets/shards/shard_folder.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/system_message.h>
#include <sys/stat.h>
#include <unistd.h>  // defines: geteuid
#include <xxhash.h>

#include <chrono>
#include <system_error>
#include <thread>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr const char* other_place = "name another place by TMPDIR, or give a folder that is kept";

fs::path folder_for_temporary_files() {
  std::error_code error;
  fs::path folder = fs::temp_directory_path(error);
  check(!error, ExitCode::io, "there is no folder for temporary files: {}; {}", error.message(), other_place);
  return folder;
}

// Anybody may write to the folder for temporary files, so what has the right name may be another user's.
void check_own_folder(const fs::path& path) {
  struct stat status {};
  check(::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == ::geteuid(),
        ExitCode::io, "{}: is not a folder of this user; remove it, or {}", path.string(), other_place);
}

}  // namespace

ShardFolder::ShardFolder(const std::string& path) : path_(path) {
  std::error_code error;
  fs::create_directories(path_, error);
  check(!error && fs::is_directory(path_, error), ExitCode::io, "{}: the folder for shards cannot be made: {}",
        path, error ? error.message() : "it is a file");
}

std::shared_ptr<const ShardFolder> ShardFolder::temporary(std::string_view purpose) {
  const fs::path temporary = folder_for_temporary_files();
  remove_abandoned_folders(temporary, purpose_of_shards);
  std::shared_ptr<ShardFolder> folder(new ShardFolder());
  folder->path_ = temporary / fmt::format("{}{:016x}", beginning_of_temporary_folders(purpose_of_shards),
                                          XXH3_64bits(purpose.data(), purpose.size()));
  for (;;) {
    if (::mkdir(folder->path_.c_str(), 0700) != 0)
      check(errno == EEXIST, ExitCode::io, "{}: the folder cannot be made: {}; {}", folder->path_.string(),
            system_message(), other_place);
    check_own_folder(folder->path_);
    try {
      folder->in_use_ = std::make_unique<TemporaryFolderLock>(folder->path_);
    } catch (const Error&) {
      std::error_code ignored;
      if (fs::exists(folder->path_, ignored)) throw;
      continue;  // its last user has just removed it
    }
    if (folder->in_use_->try_shared()) return folder;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // it is being removed
  }
}

ShardFolder::~ShardFolder() {
  if (in_use_ == nullptr) return;
  in_use_.reset();
  remove_if_abandoned(path_);
}

}  // namespace kindred
