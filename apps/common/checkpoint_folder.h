// The checkpoints of a run on the disk.
//
//   RUN/checkpoint.safetensors                    the newest
//   RUN/checkpoints/step-000001500.safetensors    the last K, and the best if it is none of them
//   RUN/checkpoints/best.txt                      its name
//
// The newest is the same file under two names (a hard link) where the file system has such, and a copy
// elsewhere. Each is written to a temporary file and renamed, so that every file with one of these names is
// whole.
#pragma once

#include <kindred/apps/common/checkpoint.h>

namespace kindred {

class CheckpointFolder {
 public:
  // `keep` >= 1: how many of the newest stay.
  CheckpointFolder(std::filesystem::path run, int keep, FileOperations& files = system_files());

  // Writes a checkpoint, and afterwards removes those that are too many. Error(io); then what was there still
  // is.
  void save(const Checkpoint& checkpoint, bool is_best);

  struct Found {
    std::optional<Checkpoint> newest;                // that is valid
    std::filesystem::path path;                      // of it
    std::vector<std::filesystem::path> passed_over;  // newer ones that cannot be used
    std::vector<std::string> reasons;                // why, a sentence each
  };
  Found newest_valid() const;
  // Gives those that were passed over another ending, so that they are not taken for newer ones. Nothing is
  // removed.
  void set_aside(const Found& found);

  // The files that may be checkpoints, newest first.
  std::vector<std::filesystem::path> candidates() const;

  // Removes every checkpoint: a run that is overwritten.
  void clear();

 private:
  void prune();

  std::filesystem::path run_, folder_;
  int keep_;
  FileOperations& files_;
};

// Holds RUN for one process: two that write to the same run would mix their files. Error(usage) when another
// holds it. Also removes the temporaries that a killed process left in it.
class RunLock {
 public:
  explicit RunLock(const std::filesystem::path& run);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int folder_ = -1;
};

}  // namespace kindred
