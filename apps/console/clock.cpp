#include <kindred/apps/console/clock.h>

#include <chrono>

namespace kindred {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace kindred
