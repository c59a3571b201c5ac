// Batch norm in training when a batch goes through the network in micro-batches, one after the other.
//
// There are two ways. If each micro-batch has its own statistics, only the running statistics need care:
// momentum_of_micro_batch. If the statistics are those of the whole batch, a norm must see all micro-batches
// before it can return the first one: WholeBatchNorms. It interrupts the run of a micro-batch (Waiting) until
// the others have come as far.
//
// Nothing is interrupted if the whole batch is a single micro-batch: then a block is computed once forward and
// once more before its backward pass. This takes 13 % (ResNet-50) to 80 % (ResNet-18 at 32 pixels) more memory
// than eight micro-batches and up to 2.8 times less arithmetic (docs/losses.md). Segments that end at norms
// would also keep a block's activations for the whole batch, so they would need the same memory and give
// nothing more.
#pragma once

#include <kindred/layers/batch_norm/shared_statistics.h>

#include <deque>
#include <vector>

namespace kindred {

// Updates with these momenta, for the micro-batches 0, 1, ... of `micro_batches`, move the running statistics
// as far as a single update with batch_norm_momentum by the mean of the micro-batches' statistics.
double momentum_of_micro_batch(int micro_batch, int micro_batches);

// The norms of one segment of a network (a block), over all micro-batches of a batch. The segment is run for
// every micro-batch, repeatedly, until no run throws Waiting. Then it has been normalized with the statistics
// of the whole batch. The backward pass works the same way; each of its runs needs a forward run before it:
//
//   WholeBatchNorms norms(micro_batches);
//   for each micro-batch k, until none throws:
//     const WholeBatchNorms::MicroBatch micro_batch(norms, k);
//     y[k] = segment(x[k]);
//
// The statistics found in a run are kept, so each round gets past one more norm.
//
// With SharedStatistics the whole batch is that of all processes. A norm sends its message when the last of the
// process's own micro-batches has arrived, so there are no more messages than without micro-batches. The scope must
// exist during the first complete forward run.
class WholeBatchNorms {
 public:
  struct Waiting {};  // thrown by a run that needs statistics which other micro-batches have not yet given

  explicit WholeBatchNorms(int micro_batches) : micro_batches_(micro_batches) {}
  WholeBatchNorms(const WholeBatchNorms&) = delete;
  WholeBatchNorms& operator=(const WholeBatchNorms&) = delete;

  // One run of the segment for one micro-batch, on this thread.
  class MicroBatch {
   public:
    MicroBatch(WholeBatchNorms& norms, int micro_batch);
    ~MicroBatch();
    MicroBatch(const MicroBatch&) = delete;
    MicroBatch& operator=(const MicroBatch&) = delete;
  };

  // The norms of this segment are known after the first complete forward run.
  bool gradients_known() const;

  // Used by batch_norm() itself.
  struct Norm {
    std::vector<bool> seen = {}, seen_gradient = {};  // [micro-batch]
    int micro_batches_seen = 0, gradients_seen = 0;
    const Communicator* processes = nullptr;  // that share the statistics; null if none do
    std::int64_t rows = 0;        // of the micro-batches seen so far; of the whole batch when all are seen
    ChannelPair statistics = {};  // mean and variance of these rows
    Tensor inv_std = {};          // [c], of the whole batch
    ChannelPair sums = {};        // d_scale and d_bias, likewise
  };
  // The WholeBatchNorms of the current run on this thread; null if there is none.
  static WholeBatchNorms* active();
  Norm& next();  // the norm of the current call; norms are identified by call order
  int micro_batch() const { return micro_batch_; }
  int micro_batches() const { return micro_batches_; }

 private:
  const int micro_batches_;
  int micro_batch_ = 0;
  std::size_t calls_ = 0;
  std::deque<Norm> norms_;  // in call order
};

}  // namespace kindred
