// How a run takes over its folder: as a new run, as one that replaces another, or as one that is resumed.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/apps/training/run/checkpoint_folder.h>

#include <optional>

namespace kindred {

// All files that a run writes to its folder, except checkpoints.
extern const std::vector<std::string> run_files;

class RunStart {
 public:
  // Creates and locks the folder, and clears it if --overwrite was given. Throws Error(usage) if it holds a run
  // and the options do not say what to do with it, or if another process holds the lock; also Error(file) and
  // Error(io).
  explicit RunStart(const PretrainOptions& options);

  // The checkpoint that a run with these settings (config.json's) resumes from, or null if it starts anew.
  // Throws Error(usage) if the run in the folder has other settings and --allow-change was not given.
  const Checkpoint* checkpoint(const nlohmann::json& config);

  // To be called when the run has started or has restored the checkpoint: writes the settings and sets unusable
  // checkpoints aside. Throws Error(io).
  void done(const nlohmann::json& config);

 private:
  const PretrainOptions& options_;
  const bool goes_on_;  // the folder holds a run
  const RunLock lock_;
  CheckpointFolder checkpoints_;
  CheckpointFolder::Found found_;
  bool continues_ = false;    // goes_on_, and config.json says what the run is
  bool has_changed_ = false;  // the settings
};

}  // namespace kindred
