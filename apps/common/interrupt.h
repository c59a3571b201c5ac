// Signals that ask a program to end: SIGINT (Ctrl-C), SIGTERM (Kubernetes, systemd, Slurm's scancel) and
// SIGUSR1 (what Slurm's --signal=USR1@60 sends before the time is up).
//
// The first is remembered, and the program ends at the next good place. A second one ends it at once; one that
// follows within a fifth of a second does not count: schedulers signal a process and then its group.
#pragma once

namespace kindred {

// Call once, before threads are started.
void watch_for_interrupts();

// The signal that came, or 0.
int interrupt_signal();
const char* interrupt_name();  // "SIGTERM"; "" when none came

}  // namespace kindred
