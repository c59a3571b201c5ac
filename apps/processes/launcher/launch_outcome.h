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
  int own_line = 0;  // the code with which rank 0 ends and has written the run's line itself; 0: it has not
  // By rank: the code of a process whose work is done, and with which it ended in order. Of processes that did not: nullopt.
  // Once rank 0 is done, all that the run writes is written.
  std::vector<std::optional<int>> done{}, ended{};
  std::vector<bool> joined{};       // by rank: it has been there
  std::vector<bool> opened{};       // by rank: its MPI is open
  std::optional<int> first_gone{};  // the first rank whose connection closed without a word
  // It was gone when another process said that a signal asked it to end, and the launcher had handed on none: mpirun, which
  // ends the others, had sent it.
  bool was_gone_before_interrupt = false;
  std::string stayed{};  // who_stayed(), if somebody did for too long and was killed
  // The launcher has killed the processes, so that what mpirun says about killed ones may be about these; and mpirun.
  bool has_killed = false, has_killed_mpirun = false;
  int status = 0;       // of mpirun, as waitpid() gives it
  std::string words{};  // what mpirun wrote, and processes that were not heard otherwise
};

struct LaunchOutcome {
  int code = 0;
  std::string line{};  // without the program's name; empty: the run said itself what there was to say
  Cause cause = Cause::other;
  std::string warning{};  // beside a code without a line: what went wrong when all results were written
};

LaunchOutcome launch_outcome(const LaunchSeen& seen);

// The line of a run of which a process has not opened MPI in so many seconds since another one came or did, or since
// mpirun was started. `held_up` are the ranks that have joined and are seen to be stopped. Names those that did not start;
// if all did, those that are held up; otherwise those whose MPI is not open. At least one is not.
std::string line_of_missing_processes(const LaunchSeen& seen, const std::vector<int>& held_up, double seconds);

// The line of a run whose processes have all been stopped for so many seconds.
std::string line_of_stopped_processes(const LaunchSeen& seen, double seconds);

// Who is still there though rank 0 is done: of the ranks that are `present`, those whose work is not done; if it is that of
// all, those that are held up; otherwise all of them. If none is present, mpirun.
std::string who_stayed(const LaunchSeen& seen, const std::vector<int>& present,
                       const std::vector<int>& held_up);

// "SIGKILL", or "signal 35".
std::string signal_text(int signal);

}  // namespace kindred
