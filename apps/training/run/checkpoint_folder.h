// The checkpoints of a run on the disk.
//
//   RUN/checkpoint.safetensors                    the newest
//   RUN/checkpoints/step-000001500.safetensors    the last K, and also the best one
//   RUN/checkpoints/best.txt                      its name
//
// The newest checkpoint is one file with two names (a hard link) if the file system supports this, and a copy
// otherwise. Each file is first written under a temporary name and then renamed, so every file with one of
// these names is complete.
#pragma once

#include <kindred/apps/training/run/checkpoint.h>

namespace kindred {

class CheckpointFolder {
 public:
  // `keep` >= 1 is the number of newest checkpoints to keep.
  CheckpointFolder(std::filesystem::path run, int keep, FileOperations& files = system_files_without_links());

  // Writes a checkpoint and then removes the superfluous ones. Throws Error(io); the previous checkpoints are
  // then still there.
  void save(const Checkpoint& checkpoint, bool is_best);

  // Makes the checkpoint of this step the best one and returns its path, or nothing if it is not there. Throws
  // Error(io).
  std::optional<std::filesystem::path> make_best(std::int64_t step);

  struct Found {
    std::optional<Checkpoint> newest;                // the newest valid one
    std::filesystem::path path;                      // its path
    std::vector<std::filesystem::path> passed_over;  // newer ones that cannot be used
    std::vector<std::string> reasons;                // why, one sentence each
  };
  Found newest_valid() const;
  // Renames those that cannot be used with another extension, so that they are not taken for newer ones.
  // Nothing is removed.
  void set_aside(const Found& found);

  // The files that may be checkpoints, newest first.
  std::vector<std::filesystem::path> candidates() const;

 private:
  void prune(const std::string& saved);  // the name of the newest one

  std::filesystem::path run_, folder_;
  int keep_;
  FileOperations& files_;
};

// A file that is in RUN from the beginning of a run's first save until there is a checkpoint. The encoder is written before
// the checkpoint, so if the process is killed or the disk is full between the two, this tells an encoder that never had a
// checkpoint from one whose checkpoints were lost.
inline constexpr const char* first_save_name = ".kindred-first-save";

// Writes that file if RUN has no checkpoint, and removes it at the end if it has one then.
class FirstSave {
 public:
  explicit FirstSave(const std::filesystem::path& run);  // throws Error(io)
  ~FirstSave();
  FirstSave(const FirstSave&) = delete;
  FirstSave& operator=(const FirstSave&) = delete;

 private:
  std::filesystem::path newest_, mark_;
};

// Returns true if a run gives this name to a file in RUN/checkpoints.
bool is_checkpoint_name(const std::string& name);

// Locks RUN for one process, because two processes that write to the same run would mix their files. Throws
// Error(usage) if another process holds the lock. Also removes the temporary files that a killed process left
// there.
class RunLock {
 public:
  explicit RunLock(const std::filesystem::path& run);
  RunLock() = default;  // holds no lock
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int folder_ = -1;
};

// Returns true if another process holds the lock.
bool is_locked(const std::filesystem::path& run);

}  // namespace kindred
