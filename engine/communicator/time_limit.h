// How long a process waits for the others before it takes one of them for lost. Transports ask for it while they wait.
#pragma once

namespace kindred {

// Seconds; 60 until set. Throws Error(usage) unless it is positive.
void set_time_limit(double seconds);
double time_limit();

// While it exists, this thread waits at least `seconds`: for what some processes legitimately do alone, as rank 0 writes
// files while the others wait at the next call.
class LongerLimit {
 public:
  explicit LongerLimit(double seconds);
  ~LongerLimit();
  LongerLimit(const LongerLimit&) = delete;
  LongerLimit& operator=(const LongerLimit&) = delete;

 private:
  double outer_;
};

}  // namespace kindred
