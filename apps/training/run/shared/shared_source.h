// Where a value that is not finite came from, if several processes train together.
#pragma once

#include <kindred/apps/training/run/non_finite.h>
#include <kindred/engine/communicator/communicator.h>

#include <cstdint>

namespace kindred {

// Each process has looked at its own rows. A value that is not finite in one process is soon in all of them, by way of the
// batch norms: the source is what comes first in the forward pass, with the rows of all processes that have it. `own` has
// this process's rows of a batch of `batch` images; the rows of the result are of the whole batch, and of its first view,
// because a row stands only for its image. All processes must make this call, and get the same result. With one process it
// is `own`.
NonFiniteSource first_source(const Communicator& processes, const NonFiniteSource& own, std::int64_t batch);

}  // namespace kindred
