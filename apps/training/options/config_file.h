// --config FILE: the options of a run from its config.json, or from another JSON file with the same names.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>

#include <string>
#include <vector>

namespace kindred {

struct ConfigOptions {
  GivenOptions given;                // those that a preset may set
  std::vector<std::string> flags{};  // that the file stands for: "--lr", "--margin"
  std::string device{};              // "device", which was chosen then; empty: not said
  std::string started_in{};  // the folder from which relative paths in the file are meant; empty: not said
};

// Sets the options in `plain` that no preset changes, and returns the others, as if flags had given them. Paths are as the
// file has them (config_paths.h). The device is the one that its run was asked for. What the file says about the set, the
// process and things that are made from other options is not read. Throws Error(file) if the
// file cannot be read, for a name that is no option, and for a value of another kind.
ConfigOptions read_config(const std::string& file, PretrainOptions& plain);

}  // namespace kindred
