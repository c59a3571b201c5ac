// How a run takes over its folder: as a new run, as one that replaces another, or as one that is resumed.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/apps/training/run/checkpoint_folder.h>
#include <kindred/apps/training/run/takeover/output_folder.h>

namespace kindred {

// What --resume and --overwrite ask for.
ExistingRun existing_run(const PretrainOptions& options);

class RunStart {
 public:
  // Both must outlive this object. Throws Error(file) if the run that is to be resumed has no settings.
  RunStart(const PretrainOptions& options, OutputFolder& folder);

  // The checkpoint that a run with these settings (config.json's) resumes from, or null if it starts anew.
  // Throws Error(usage) if the run in the folder has other settings and --allow-change was not given.
  const Checkpoint* checkpoint(const nlohmann::json& config);

  // To be called when the run has started or has restored the checkpoint, so that only training can fail. A new
  // run takes the folder over, and one that goes on sets unusable checkpoints aside; the settings are written.
  // Throws Error(io) and, as OutputFolder::take_over(), Error(usage).
  void done(const nlohmann::json& config);

 private:
  const PretrainOptions& options_;
  OutputFolder& folder_;
  CheckpointFolder checkpoints_;
  CheckpointFolder::Found found_;
  bool continues_ = false;    // the folder goes on, and config.json says what the run is
  bool has_changed_ = false;  // the settings
};

}  // namespace kindred
