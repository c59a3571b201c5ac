// How the learning rate changes over a run, update by update.
//
// k counts updates from 0, W is the length of the warm-up; outside the warm-up (k >= W), with base rate b:
//
//   constant      b
//   cosine        floor + (b - floor) (1 + cos(pi k / K)) / 2       over K updates; the floor for k >= K
//   on step       b factor^(number of milestones <= k)
//   exponential   b factor^(k / period), or as a staircase b factor^floor(k / period)
//
// k counts from the first update, including the warm-up. In the warm-up (k < W) the rate increases linearly:
//
//   start + (end - start) (k + 1) / W
//
// where `end` is b or, with Warmup::meet_schedule, the value of the schedule at k = W. The second form is that
// of HobbitLong's SupContrast; with it the rate does not drop where the warm-up ends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kindred {

struct Warmup {
  std::int64_t steps = 0;
  double start = 0;
  bool meet_schedule = false;
};

class Schedule {
 public:
  // Throws Error(usage) for values that do not form a schedule.
  static Schedule constant(double base);
  static Schedule cosine(double base, std::int64_t total_steps, double floor = 0);
  static Schedule step(double base, std::vector<std::int64_t> milestones, double factor);
  static Schedule exponential(double base, double factor, double period, bool staircase = false);

  Schedule with_warmup(const Warmup& warmup) const;

  double at(std::int64_t k) const;  // k >= 0
  std::string to_string() const;    // "cosine from 0.1 to 0 over 780 steps, after 78 steps of warm-up from 0"

 private:
  enum class Kind { constant, cosine, step, exponential };

  Schedule(Kind kind, double base);
  double after_warmup(std::int64_t k) const;

  Kind kind_;
  double base_;
  std::int64_t total_steps_ = 0;
  double floor_ = 0;
  std::vector<std::int64_t> milestones_;
  double factor_ = 1;
  double period_ = 1;
  bool staircase_ = false;
  Warmup warmup_;
};

}  // namespace kindred
