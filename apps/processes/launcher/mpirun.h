// Open MPI's mpirun: where it is, and how it starts processes of this program on this machine and no other.
#pragma once

#include <kindred/apps/processes/connection.h>

#include <sys/types.h>  // defines: pid_t

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

// The first mpirun in PATH.
std::optional<std::filesystem::path> find_mpirun(const char* search_path);

struct MpirunStart {
  std::vector<std::string> command{};      // with all arguments
  std::vector<std::string> environment{};  // "NAME=value"
};

struct MpirunPlan {
  std::filesystem::path mpirun{};
  std::filesystem::path folder{};  // for mpirun's own files
  std::filesystem::path memory{};  // a folder for what the processes share in memory; empty: MPI's own choice
  std::string socket{};            // launched.h
  int processes = 1;
  int cores = 1;  // that the processes share
  bool is_root = false;
  std::vector<std::string> program{};  // the command that each process runs
};

// The environment is the given one, with these changes: mpirun sees nothing of a cluster's job that this process may be
// part of, accepts root, and does not try what containers forbid; the processes share the cores (OMP_NUM_THREADS, unless
// it is set).
MpirunStart mpirun_start(const MpirunPlan& plan, const std::vector<std::string>& environment);

std::vector<std::string> environment_of_this_process();

struct RunningMpirun {
  pid_t process = 0;
  OpenFile words{};  // what it writes, to be read
};

// Throws Error(device). It is killed when this process is gone, and hears none of the signals that ask a run to end. It ends
// when its processes are gone.
RunningMpirun start_mpirun(MpirunStart how);

// Adds what it has written to `words`, unless they are very long already. Returns false if there was nothing.
bool read_words(OpenFile& from, std::string& words);

// The command of this process with a program that execvp finds: as it was typed, if that names this executable.
std::vector<std::string> command_again(const std::vector<std::string>& started_as);

}  // namespace kindred
