// How threads of OpenMP wait for each other: by spinning, which is fast where every thread has a core to itself, or
// asleep, which leaves the core to whoever can use it.
//
// GNU's OpenMP spins for up to 300,000 rounds. On a core that something else wants too, this takes the time that the
// thread which is waited for would need: a step takes two to three times as long. It spins a few hundred rounds at most
// while there are more threads than cores (libgomp's manual, "GOMP_SPINCOUNT"). So one thread more, which sleeps, is
// enough to change how all wait, at any time, and with the same results to the bit.
#pragma once

#include <thread>

namespace kindred {

// Decides from what was measured in windows of equal length. Two thresholds, and a second of quiet before threads spin
// again, so that it does not change back and forth.
class WaitingRule {
 public:
  // `delayed`: seconds that threads of this process were ready to run and had no core, summed over the threads, divided
  // by the length of the window. Returns true if threads should wait asleep.
  bool see(double delayed);

  static constexpr double crowded = 0.2, quiet = 0.05;  // of one thread's time
  static constexpr int windows_of_quiet = 5;

 private:
  bool asleep_ = false;
  int quiet_windows_ = 0;
};

// While one exists, the threads of OpenMP wait asleep. Does nothing if the system refuses a thread or limits threads or
// memory (`ulimit -u`, `ulimit -v`), if the environment says how to wait (OMP_WAIT_POLICY, GOMP_SPINCOUNT), or if threads
// are so few that cores are left for others.
class WaitAsleep {
 public:
  WaitAsleep();
  bool works() const { return extra_.joinable(); }

 private:
  std::jthread extra_;  // told to end by the destructor, which waits for it
};

// While one exists, a thread looks five times a second whether threads of this process have to wait for a core, and lets
// OpenMP's threads sleep or spin accordingly. Does nothing where the system does not say (it needs Linux's
// /proc/self/task/*/schedstat), refuses the thread, or limits threads or memory.
class AdaptiveWaiting {
 public:
  AdaptiveWaiting();

 private:
  std::jthread watch_;
};

}  // namespace kindred
