#include <kindred/engine/communicator/time_limit.h>
#include <kindred/engine/error.h>

#include <algorithm>

namespace kindred {
namespace {

std::atomic<double> limit_of_run{60};

// Of this thread: 0, or the longest of its LongerLimits. Shared, because who watches may outlive the thread.
const std::shared_ptr<std::atomic<double>>& longer_limit() {
  thread_local const auto limit = std::make_shared<std::atomic<double>>(0);
  return limit;
}

}  // namespace

void set_time_limit(double seconds) {
  check(seconds > 0, ExitCode::usage, "the time limit for other processes is {} s; expected more than 0",
        seconds);
  limit_of_run = seconds;
}

double time_limit() {
  return std::max(limit_of_run.load(), longer_limit()->load());
}

LongerLimit::LongerLimit(double seconds) : outer_(*longer_limit()) {
  *longer_limit() = std::max(outer_, seconds);
}

LongerLimit::~LongerLimit() {
  *longer_limit() = outer_;
}

LimitOfThread::LimitOfThread() : longer_(longer_limit()) {}

double LimitOfThread::seconds() const {
  return std::max(limit_of_run.load(), longer_->load());
}

}  // namespace kindred
