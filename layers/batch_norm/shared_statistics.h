// Batch norm in training over the rows of several processes.
//
//   const SharedStatistics shared(processes);
//   y = model(x, Mode::train);  // normalized with mean and variance of the rows of all processes
//
// Every process must have the same number of rows. Each of them gets what it would get for its rows if they were
// part of one batch with all others: y, running statistics, and the gradients of x and residual. The gradients of
// scale and bias are only the sums over its own rows. Like those of all other parameters they are summed over the
// processes afterwards.
//
// A norm sends one message forward and one backward, each with two numbers for every channel. Forward, the means and
// variances are gathered, and each process merges them in the order of the ranks. Variances are not computed from
// sums of squares, because these lose the variance of a channel whose mean is far from zero.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

class Communicator;

// While one of these exists, the batch norms that this thread runs in training share their statistics. Not those in
// evaluation, and none if `processes` is one process alone. A pass backward sends its messages also after the scope has
// ended: `processes` must live until then. Scopes can be nested; the innermost one counts.
class SharedStatistics {
 public:
  explicit SharedStatistics(const Communicator& processes);
  ~SharedStatistics();
  SharedStatistics(const SharedStatistics&) = delete;
  SharedStatistics& operator=(const SharedStatistics&) = delete;

  // Used by batch_norm() itself: who shares statistics on this thread; null if nobody does.
  static const Communicator* processes();

 private:
  const Communicator* outer_;
};

// The rest is used by batch_norm() itself.

// Two numbers for each channel: mean and variance, or the sums d_scale and d_bias. If processes share them, they are
// the halves of one tensor, so that they travel as one message.
struct ChannelPair {
  ChannelPair() = default;
  ChannelPair(const Tensor& like, const Communicator* processes);  // like: [c]; nothing is initialized

  Tensor first, second;  // [c]
  Tensor both;           // [2, c]; undefined if `processes` is null
};

// The mean and variance of own rows become those of the rows of all processes: the same bits on every process.
void merge_statistics_over(const Communicator& processes, const ChannelPair& mean_and_variance);
// The sums over own rows become the sums over the rows of all processes.
void sum_over(const Communicator& processes, const ChannelPair& sums);

}  // namespace kindred
