// How long a process waits for the others before it takes one of them for lost. Transports ask for it while they wait.
#pragma once

#include <atomic>
#include <memory>

namespace kindred {

// Seconds; 60 until set. Throws Error(usage) unless it is positive.
void set_time_limit(double seconds);
double time_limit();  // of this thread

// While it exists, this thread waits at least `seconds`: for what some processes legitimately do alone, as rank 0 writes
// files while the others wait at the next call. Other threads that wait for it ask for its LimitOfThread.
class LongerLimit {
 public:
  explicit LongerLimit(double seconds);
  ~LongerLimit();
  LongerLimit(const LongerLimit&) = delete;
  LongerLimit& operator=(const LongerLimit&) = delete;

 private:
  double outer_;
};

// The time limit of the thread that made this object, for any thread that watches a wait of its process. A process has
// one thread that trains; in tests several threads are a process each.
class LimitOfThread {
 public:
  LimitOfThread();
  double seconds() const;  // at present

 private:
  std::shared_ptr<const std::atomic<double>> longer_;
};

}  // namespace kindred
