// What the system must give for mpirun to start the processes of a run.
#pragma once

namespace kindred {

// What must be right before MPI is looked for. Throws Error(device) if the current folder is gone, or if `ulimit -n` allows
// fewer open files than mpirun and so many processes need beside those that it inherits. `flag` asked for them: "--processes".
void check_folder_and_files_of_launch(int processes, const char* flag);

// Tries it, where Open MPI would say in many lines of its own, and not always, what it did not get. Throws Error(device),
// with the limit, if the threads of mpirun and of so many processes cannot all be started (`ulimit -u`, pids.max), or if a
// limit of addresses (`ulimit -v`, `ulimit -d`) is below what Open MPI's libraries take in each of them.
void check_limits_of_launch(int processes);

}  // namespace kindred
