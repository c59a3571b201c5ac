#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/training/run/shared/between_steps.h>

#include <vector>

namespace kindred {

BetweenSteps agree_between_steps(const Communicator& processes, bool save_is_due) {
  if (processes.is_alone()) return {.ends = interrupt_signal() != 0, .saves = save_is_due};
  const std::vector<double> agreed =
      processes.max({static_cast<double>(interrupt_signal()), save_is_due ? 1.0 : 0.0});
  learn_of_interrupt(static_cast<int>(agreed[0]));
  return {.ends = agreed[0] != 0, .saves = agreed[1] != 0};
}

}  // namespace kindred
