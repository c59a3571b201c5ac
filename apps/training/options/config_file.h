// --config FILE: the options of a run from its config.json, or from another JSON file with the same names.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>

#include <string>
#include <vector>

namespace kindred {

struct ConfigOptions {
  GivenOptions given;                // those that a preset may set
  std::vector<std::string> flags{};  // that the file stands for: "--lr", "--margin"
};

// Sets the options in `plain` that no preset changes (a data set or list that is not there is looked for in the folder where
// the run was started, if the file says that), and returns the others, as if flags had given them. What the file
// says about the set, the process and things that are made from other options is not read. Throws Error(file) if the
// file cannot be read, for a name that is no option, and for a value of another kind.
ConfigOptions read_config(const std::string& file, PretrainOptions& plain);

}  // namespace kindred
