// Signals that ask a program to end: SIGINT (Ctrl-C), SIGTERM (Kubernetes, systemd, Slurm's scancel), SIGHUP (the
// terminal was closed, or the connection to it was lost) and SIGUSR1 (which Slurm's --signal=USR1@60 sends before
// the time limit).
//
// The first signal is remembered, and the program ends at the next suitable point. A second one ends it at
// once. A signal that follows within a fifth of a second is ignored, because schedulers signal a process and
// then its group. One that another process hands on counts neither as a first nor as a second one.
#pragma once

#include <string>

namespace kindred {

class Communicator;

// Call once, before threads are started. A program that was started with SIGHUP ignored, as nohup does, goes on
// ignoring it.
void watch_for_interrupts();

// The signal that arrived, or 0.
int interrupt_signal();
const char* interrupt_name();  // "SIGTERM"; "" if none arrived

// The same for processes that train together, which may get a signal at different times, or only one of them: they agree
// on it here, and so all of them stop at the same place. Every process must make this call there, and each gets the signal
// of any of them; from then on the two functions above say it too. With one process it is interrupt_signal().
int agreed_interrupt_signal(const Communicator& processes);
// Another process of the run got this signal; 0: none did.
void learn_of_interrupt(int signal);

// Process `sender`, a launcher, hands on the signals that it gets itself. They ask this process to end like any other. But who
// signals all processes of a run at once reaches this one twice, and the second time must not end it at once. At most
// three senders.
void take_as_handed_on(int sender);
// No process does so any more: this one was started beside others, and works alone.
void take_none_as_handed_on();

// Throws Error(interrupted) if a signal has arrived: "SIGINT: <what>". `what` says what was stopped, and whether the
// same command goes on or begins anew.
void end_if_interrupted(const std::string& what);

}  // namespace kindred
