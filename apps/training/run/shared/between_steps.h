// What processes that train together agree on between two steps, so that all of them do the same there.
#pragma once

#include <kindred/engine/communicator/communicator.h>

namespace kindred {

struct BetweenSteps {
  bool ends = false;   // a signal asks one of the processes to end
  bool saves = false;  // it is time to save
};

// All processes must make this call after the same step, and get the same answer. The first one, which writes, knows whether
// a save is due. With one process nothing is sent.
BetweenSteps agree_between_steps(const Communicator& processes, bool save_is_due);

}  // namespace kindred
