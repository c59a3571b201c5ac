// The processes of a run that a test has started, as the system lists them.
#pragma once

#include "../programs.h"

#include <sys/types.h>  // defines: pid_t

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

struct RunProcess {
  pid_t process = 0;
  std::optional<int> rank{};  // none: it is the launcher, or a run of one process
};

// Those of program `program` with this argument.
std::vector<RunProcess> processes_of_run(const std::string& program, const std::string& argument);

// Runs a program under a shell prefix; once `is_time` says so, `act` is called with the run's processes, while it goes on.
// `is_time` is asked every few milliseconds.
ProgramResult run_program_and(const std::string& program, const std::string& arguments,
                              const std::string& argument, const std::function<bool()>& is_time,
                              const std::function<void(const std::vector<RunProcess>&)>& act,
                              const std::string& prefix = "");

// Whether no process of the run is there any more, within some seconds.
bool nothing_is_left(const std::string& program, const std::string& argument);

// A sleep that `nothing_is_left` can tell from all others.
std::string long_sleep();

// A line of a shell that only this rank runs.
std::string if_rank(int rank, const std::string& line);

// The run's mpirun, by whatever name it goes.
std::vector<RunProcess> mpirun_of_run(const std::string& argument);

// An mpirun that starts processes in which `line` is run by a shell before it becomes the program. In it $OMPI_COMM_WORLD_RANK
// is the rank, and `set -- "$@" FLAG` adds a flag.
class ShellBeforeProcesses {
 public:
  ShellBeforeProcesses(const TemporaryFolder& folder, const std::string& line);
  // Prefixes of a command: its PATH has this mpirun first; and two processes are started by hand, with the shell too.
  std::string for_launcher() const;
  std::string by_hand() const;

 private:
  std::string prefix_, shell_;
};

// An mpirun that is this script.
std::string prefix_for_mpirun(const TemporaryFolder& folder, const std::string& script);

// Returns true if several processes can be started here; otherwise prints a line.
bool has_mpi();

}  // namespace kindred
