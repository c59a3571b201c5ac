// Signals that ask a program to end: SIGINT (Ctrl-C), SIGTERM (Kubernetes, systemd, Slurm's scancel) and
// SIGUSR1 (which Slurm's --signal=USR1@60 sends before the time limit).
//
// The first signal is remembered, and the program ends at the next suitable point. A second one ends it at
// once. A signal that follows within a fifth of a second is ignored, because schedulers signal a process and
// then its group.
#pragma once

namespace kindred {

// Call once, before threads are started.
void watch_for_interrupts();

// The signal that arrived, or 0.
int interrupt_signal();
const char* interrupt_name();  // "SIGTERM"; "" if none arrived

}  // namespace kindred
