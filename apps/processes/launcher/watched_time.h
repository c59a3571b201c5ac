// The launcher's clock.
#pragma once

#include <kindred/apps/console/clock.h>

#include <algorithm>

namespace kindred {

// Seconds that this process has watched others. Those in which it was stopped itself, as by Ctrl-Z, do not count.
class WatchedTime {
 public:
  // To be called again and again, at least every second.
  void go_on() { go_on_to(now_seconds()); }
  void go_on_to(double now) {
    constexpr double longest_look = 1;
    seconds_ += std::min(now - last_look_, longest_look);
    last_look_ = now;
  }
  double seconds() const { return seconds_; }

 private:
  double last_look_ = now_seconds(), seconds_ = 0;
};

}  // namespace kindred
