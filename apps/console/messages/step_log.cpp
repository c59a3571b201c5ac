#include <kindred/apps/console/messages/figure_text.h>
#include <kindred/apps/console/messages/step_log.h>
#include <kindred/apps/console/progress.h>

#include <fmt/core.h>

#include <algorithm>

namespace kindred {

StepLog::StepLog(std::int64_t every, std::int64_t views_per_step, std::int64_t steps)
    : every_(every), views_per_step_(views_per_step), steps_(steps) {
  if (every_ > 0) hide_progress();
}

void StepLog::end_step(std::int64_t step, double loss, double learning_rate, double seconds) {
  if (every_ == 0) return;
  ++steps_since_;
  seconds_since_ += seconds;
  if (step % every_ != 0) return;
  const double rate = static_cast<double>(steps_since_ * views_per_step_) / std::max(seconds_since_, 1e-9);
  fmt::print("step {}/{}  loss {}  lr {:.4g}  {:.0f} views/s\n", step, steps_, figure_text(loss, 4),
             learning_rate, rate);
  steps_since_ = 0;
  seconds_since_ = 0;
}

}  // namespace kindred
