// What a run of several processes comes to for the one that started them: one exit code, and at most one line.
#pragma once

#include <kindred/apps/processes/launched.h>
#include <kindred/engine/error.h>

#include <optional>
#include <string>
#include <vector>

namespace kindred {

// What the launcher has seen until mpirun ended.
struct LaunchSeen {
  int processes = 1;
  std::string host{};
  // The first failure that a process told.
  std::optional<LaunchedMessage> failure{};
  // By rank: the code with which it ended in order. Of processes that did not: nullopt.
  std::vector<std::optional<int>> ended{};
  std::vector<bool> joined{};       // by rank: it has been there
  std::optional<int> first_gone{};  // the first rank whose connection closed without a word
  int status = 0;                   // of mpirun, as waitpid() gives it
  std::string words{};              // what mpirun wrote, and processes that were not heard otherwise
};

struct LaunchOutcome {
  int code = 0;
  std::string line{};  // without the program's name; empty: the run said itself what there was to say
};

LaunchOutcome launch_outcome(const LaunchSeen& seen);

// "SIGKILL", or "signal 35".
std::string signal_text(int signal);

}  // namespace kindred
