// The options of pretrain as a command line gives them, for tests of what flags and files mean.
#pragma once

#include "../../../engine/temporary_folder.h"

#include <kindred/apps/console/command_line.h>
#include <kindred/apps/training/options/pretrain_options.h>

#include <doctest/doctest.h>

#include <sstream>
#include <string>
#include <vector>

namespace kindred {

// Of the words behind "pretrain". Throws what the program would end with.
inline PretrainOptions pretrain_options(const std::string& typed) {
  CommandLine line("", "pretrain");
  PretrainFlags flags(line);
  std::istringstream stream(typed);
  std::vector<std::string> words{"pretrain"};
  for (std::string word; stream >> word;) words.push_back(word);
  std::vector<const char*> arguments;
  for (const std::string& word : words) arguments.push_back(word.c_str());
  const bool goes_on =
      !line.parse(static_cast<int>(arguments.size()), arguments.data()).has_value();  // may throw
  CHECK(goes_on);
  return flags.resolve();
}

// Writes this file of options, and returns the flag for it.
inline std::string config_in(const TemporaryFolder& folder, const std::string& text) {
  write_bytes(folder / "config.json", text);
  return " --config " + (folder / "config.json").string() + " ";
}

}  // namespace kindred
