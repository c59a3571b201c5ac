// Flags as people type them: mistyped, in the spelling of another program, with their value left out.
#pragma once

#include <string>
#include <vector>

namespace kindred {

struct KnownFlag {
  std::vector<std::string> names{};  // as in --help: "-b", "--batch-size"; the last one is a long name
  std::string value{};               // the word for its value in --help: "N"; empty for a switch
};

// Returns the arguments with the names of `flags`, and each value in its flag's argument: "--batch-size=8" for
// "-b 8", "-b8" and "--batch_size 8". If --help or --version was typed, returns that one alone. Arguments that are
// no flags stay as they are: "-", "-1", "-.5", and everything from "--" on.
//
// `flags` stand in the order of --help. Throws Error(usage):
//   for a name that no flag has, with the nearest name that one has; this comes before all other errors
//   for a flag whose value is missing or empty; a value that begins with "--" is one only behind "="
std::vector<std::string> plain_arguments(const std::vector<std::string>& typed,
                                         const std::vector<KnownFlag>& flags);

}  // namespace kindred
