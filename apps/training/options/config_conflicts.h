// A file of --config beside flags that were typed. A config.json holds every option of its run as it was used, also those
// that nobody typed. So what was typed decides: a value of the file that does not go with it is left out.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/engine/error.h>

#include <string>
#include <vector>

namespace kindred {

class CommandLine;

struct ConfigBesideFlags {
  const CommandLine& line;       // after parse(): which flags were typed
  const GivenOptions& typed;     // of those that a preset may set
  const std::string& file;       // of --config
  const std::string& data_path;  // DIR of the file; empty: it names none
  bool goes_on;                  // it is of the run that goes on, on the same set, wherever that lies now
  const std::string& device;     // that its precision is for: what was chosen then; empty: it says none
};

// Leaves out of `plain` and `config`, which hold the file's values where nothing was typed, and prints a line for each
// reason:
//   the device, and the precision that was chosen for it: if --gpu predicts for a GPU, or if the file says cuda and no
//     GPU answers
//   what only another loss than that of --loss uses
//   --best, if --weights names other weights
//   the learning rates and the weight decay, if either the file's optimizer or the one of --optimizer is adamw, whose
//     rates are a hundred times smaller
//   a --val-fraction of 0, if DIR is another set, and the run a new one: what is held out of it is chosen again
void leave_out_conflicts(const ConfigBesideFlags& beside, PretrainOptions& plain, GivenOptions& config);

// For the handler of an error in the options: throws it again. If it is about one of these flags, which only the file
// gave, it says so: "--lr -1: expected 0 or more; RUN/config.json gives --lr".
[[noreturn]] void rethrow_naming_config(const Error& error, const std::string& file,
                                        const std::vector<std::string>& flags);

}  // namespace kindred
