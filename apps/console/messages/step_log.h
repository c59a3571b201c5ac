// --log-every N: a line after every N steps of a run, for logs. It takes the place of the progress bar.
#pragma once

#include <cstdint>
#include <string>

namespace kindred {

class StepLog {
 public:
  // `every`: 0 for no lines. A step has `views_per_step` views, the run `steps` steps.
  StepLog(std::int64_t every, std::int64_t views_per_step, std::int64_t steps);

  // The run has done `step` steps. The last one took `seconds`, with its wait for data. Prints a line if one is due:
  // "step 200/7800  loss 5.9312  lr 0.0256  1830 views/s", where the rate is that of the steps since the last line.
  void end_step(std::int64_t step, double loss, double learning_rate, double seconds);

 private:
  const std::int64_t every_, views_per_step_, steps_;
  std::int64_t steps_since_ = 0;  // the last line
  double seconds_since_ = 0;
};

}  // namespace kindred
