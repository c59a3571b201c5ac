// Runs a command of the shell and takes what it writes to its standard output.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace kindred {

struct CommandLimits {
  double silent_seconds = 60;  // a command that writes nothing for so long is ended
  std::function<bool()> stop;  // asked ten times a second; the command is ended once it says true. May be empty
};

struct CommandOutcome {
  enum class Ending {
    exited,       // `code` is its exit code
    signalled,    // `code` is the signal that ended it
    silent,       // it was ended, because it wrote nothing for silent_seconds
    stopped,      // it was ended, because `stop` said so
    refused,      // it was ended, because `take` gave a reason
    not_started,  // `reason` says why
    no_process,   // the system has no process for it, or its shell got none; `reason` says how
  };
  Ending ending = Ending::exited;
  int code = 0;
  std::string reason;       // of the last three
  std::string last_line;    // that it wrote to its standard error; empty if there is none
  std::uint64_t bytes = 0;  // that were taken

  bool ok() const { return ending == Ending::exited && code == 0; }
  // "exit code 22, and its last words were: curl: (22) The requested URL returned error: 404"
  std::string in_words(double silent_seconds) const;
};

// Runs `sh -c command` with nothing on its standard input, and gives `take` all that it writes, in order. `take` returns an
// empty string, or why it takes no more. What the command writes to its standard error is not shown. It runs in a process group of
// its own, so that a command that is ended takes the programs with it that it has started. So it is also if this program ends while
// the command runs, by SIGKILL too: a second process of the group waits for that. It throws only what `take` throws.
CommandOutcome run_command(const std::string& command,
                           const std::function<std::string(std::span<const std::uint8_t>)>& take,
                           const CommandLimits& limits);

}  // namespace kindred
