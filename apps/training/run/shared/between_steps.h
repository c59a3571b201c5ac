// What processes that train together agree on between two steps, so that all of them do the same there.
#pragma once

#include <kindred/apps/training/batch_source.h>
#include <kindred/engine/communicator/communicator.h>

#include <cstdint>
#include <vector>

namespace kindred {

struct BetweenSteps {
  bool ends = false;   // a signal asks one of the processes to end
  bool saves = false;  // it is time to save
};

// All processes must make this call after the same step, and get the same answer. The first one, which writes, knows whether
// a save is due. With one process nothing is sent.
BetweenSteps agree_between_steps(const Communicator& processes, bool save_is_due);

// The batch of a step whose images all processes share, in the order of the whole batch.
struct WholeBatch {
  std::vector<std::int32_t> labels{};
  std::vector<std::int64_t> indices{}, drawn{};  // as BatchSource has them
};

// Of the batch that every process has just drawn its share of. All of them must make this call.
WholeBatch whole_batch(const Communicator& processes, const BatchSource& own);

}  // namespace kindred
