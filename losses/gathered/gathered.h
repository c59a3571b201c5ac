// The rows of a batch that is divided among processes (engine/communicator), together.
//
// Of a batch of B images, process r of N has the images r * b to (r + 1) * b - 1, b = B / N. Its rows are
// view-major: row v * b + i is view v of its image i. The functions here return the rows in the order in
// which one process would have them: that row is row v * B + r * b + i of all.
#pragma once

#include <kindred/engine/communicator/communicator.h>

namespace kindred {

// own [views*b, ...] of any type, of the same shape on every process -> [views*B, ...], the same on every
// process. For what needs no gradient: labels, keys, features for a report. With one process they are its own
// rows, and nothing is copied.
Tensor gathered_views(const Communicator& processes, const Tensor& own, int views);

// The same into `all`, which may then have any shape with that many elements. To be called within a
// Communicator::Group, so that it can travel together with other tensors.
void gather_views(const Communicator& processes, const Tensor& own, int views, Output all);

// The same with a gradient, for a loss that every process computes whole from the rows of all. The gradient
// of such a loss is already complete on each process, so a process takes the gradient of its own rows and
// nothing is added up: a factor of N cannot arise. Not for values that differ between the processes. With one
// process a copy.
Tensor all_rows(const Communicator& processes, const Tensor& own, int views);

}  // namespace kindred
