// What a run has before its network is made: a device, its folder, its options, its images. And what a run without a
// network comes to: --dry-run.
#pragma once

#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/known_plans.h>
#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/apps/training/run/takeover/output_folder.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/engine/device.h>
#include <kindred/engine/error.h>

#include <nlohmann/json.hpp>

#include <optional>

namespace kindred {

// Prints the memory that a run with these flags would take, or with --gpu the time of its steps there. Writes nothing but
// --prediction FILE. `asked` are the options that do not depend on the set. Throws as RunSetup.
void dry_run(const PretrainFlags& flags, const PretrainOptions& asked);

struct RunSetup {
  // Chooses the device and reports it, locks the folder, opens the images and prints their notes, and compares the memory
  // that the run takes with what there is. Throws Error with the codes usage, data, device, file and io. Of processes that
  // train together all do the same, except that the first one alone has the folder.
  RunSetup(const CommandLine& line, const PretrainFlags& flags, const PretrainOptions& asked);

  // Rethrows `error` with advice, for the memory that is free now that the network is gone.
  [[noreturn]] void explain(const OutOfMemory& error) const;

  DeviceChoice device;
  nlohmann::json facts;  // of the start, for config.json
  // Before all that is read, because a killed process may have left something to put right in it; and destroyed after
  // what writes to it.
  OutputFolder folder;
  KnownPlans known_plans;
  nlohmann::json earlier;  // settings of the run that goes on, or null
  Dataset train;
  PretrainOptions options;  // resolved for the training images
  std::optional<Dataset> evaluation;
};

}  // namespace kindred
