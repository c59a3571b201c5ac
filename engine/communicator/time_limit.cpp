#include <kindred/engine/communicator/time_limit.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <atomic>

namespace kindred {
namespace {

std::atomic<double> limit_of_run{60};
thread_local double longer_limit = 0;

}  // namespace

void set_time_limit(double seconds) {
  check(seconds > 0, ExitCode::usage, "the time limit for other processes is {} s; expected more than 0",
        seconds);
  limit_of_run = seconds;
}

double time_limit() {
  return std::max(limit_of_run.load(), longer_limit);
}

LongerLimit::LongerLimit(double seconds) : outer_(longer_limit) {
  longer_limit = std::max(longer_limit, seconds);
}

LongerLimit::~LongerLimit() {
  longer_limit = outer_;
}

}  // namespace kindred
