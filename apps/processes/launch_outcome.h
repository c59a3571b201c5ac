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
  std::vector<bool> opened{};       // by rank: its MPI is open
  std::optional<int> first_gone{};  // the first rank whose connection closed without a word
  int status = 0;                   // of mpirun, as waitpid() gives it
  std::string words{};              // what mpirun wrote, and processes that were not heard otherwise
};

struct LaunchOutcome {
  int code = 0;
  std::string line{};  // without the program's name; empty: the run said itself what there was to say
};

LaunchOutcome launch_outcome(const LaunchSeen& seen);

// The line of a run of which a process has not opened MPI in so many seconds since another one came or did, or since
// mpirun was started. `held_up` are the ranks that have joined and are seen to be stopped. Names those that did not start;
// if all did, those that are held up; otherwise those whose MPI is not open. At least one is not.
std::string line_of_missing_processes(const LaunchSeen& seen, const std::vector<int>& held_up, double seconds);

// "SIGKILL", or "signal 35".
std::string signal_text(int signal);

}  // namespace kindred
