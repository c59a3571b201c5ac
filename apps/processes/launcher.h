// `pretrain --processes 4`: starts this command four times with mpirun, and stays until they have ended.
//
// The user's process does not train. It hands its standard output to rank 0 (launched.h), passes on the signals that ask
// a run to end, so that the processes can agree on a step to stop at, and keeps mpirun's own words for itself: a run ends
// with one line and one code, whatever happens to which of its processes. When it is killed itself, mpirun and the
// processes end too. Until all have opened MPI, nothing but the launcher notices one that hangs or does not start.
#pragma once

#include <kindred/apps/processes/start.h>

namespace kindred {

// Returns the run's exit code. Throws Error with the code and the message of the process that ended the run;
// Error(lost) if one was killed, does not end, or does not start within the time limit; Error(device) if there is no mpirun,
// or it cannot start them.
int launch_processes(const ProcessesAsked& asked);

}  // namespace kindred
