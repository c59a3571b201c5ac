// `pretrain --processes 4`: starts this command four times with mpirun, and stays until they have ended.
//
// The user's process does not train. It hands its standard output to rank 0 (launched.h), passes on the signals that ask
// a run to end, so that the processes can agree on a step to stop at, and keeps mpirun's own words for itself: a run ends
// with one line and one code, whatever happens to which of its processes. When it is killed itself, mpirun and the
// processes end too. Nothing but the launcher notices a process that hangs or does not start until all have opened MPI,
// one that hangs when the work is done, and that all are stopped. Once rank 0 is done all results are written: what happens to
// a process from then on is a warning on standard error, and the code is rank 0's.
#pragma once

#include <kindred/apps/processes/start.h>

namespace kindred {

// Returns the run's exit code. Throws Error with the code and the message of the process that ended the run;
// Error(lost) if one was killed, hangs, or does not start within the time limit; Error(device) if there is no mpirun,
// or it cannot start them.
int launch_processes(const ProcessesAsked& asked);

}  // namespace kindred
