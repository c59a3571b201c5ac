// Batch norm in training when a batch goes through the network in pieces (micro-batches), one after the other.
//
// There are two ways. If each piece has its own statistics, only the running statistics need care:
// RunningMomentum. If the statistics are those of the whole batch, a norm must see all pieces before it can
// return the first one: WholeBatchNorms. It interrupts the run of a piece (Waiting) until the other pieces have
// come as far.
#pragma once

#include <kindred/layers/batch_norm/kernels.h>

#include <deque>
#include <vector>

namespace kindred {

// While one of these exists, the running statistics of this thread's norms use this momentum instead of
// batch_norm_momentum. With 0 they do not move.
class RunningMomentum {
 public:
  explicit RunningMomentum(double momentum);
  ~RunningMomentum();
  RunningMomentum(const RunningMomentum&) = delete;
  RunningMomentum& operator=(const RunningMomentum&) = delete;

  static double current();

 private:
  double outer_;
};

// Updates with these momenta, for the pieces 0, 1, ... of `pieces`, move the running statistics as far as a
// single update with batch_norm_momentum by the mean of the pieces' statistics.
double momentum_of_piece(int piece, int pieces);

// The norms of one segment of a network (a block), over all pieces of a batch. The segment is run for every
// piece, repeatedly, until no run throws Waiting. Then it has been normalized with the statistics of the whole
// batch. The backward pass works the same way; each of its runs needs a forward run before it:
//
//   WholeBatchNorms norms(pieces);
//   for each piece, until none throws:
//     const WholeBatchNorms::Piece piece(norms, k);
//     y[k] = segment(x[k]);
//
// The statistics found in a run are kept, so each round gets past one more norm.
class WholeBatchNorms {
 public:
  struct Waiting {};  // thrown by a run that needs statistics which other pieces have not yet given

  explicit WholeBatchNorms(int pieces) : pieces_(pieces) {}
  WholeBatchNorms(const WholeBatchNorms&) = delete;
  WholeBatchNorms& operator=(const WholeBatchNorms&) = delete;

  // One run of the segment for one piece, on this thread.
  class Piece {
   public:
    Piece(WholeBatchNorms& norms, int piece);
    ~Piece();
    Piece(const Piece&) = delete;
    Piece& operator=(const Piece&) = delete;
  };

  // The norms of this segment are known after the first complete forward run.
  bool gradients_known() const;

  // Used by batch_norm() itself.
  struct Norm {
    std::vector<bool> seen, seen_gradient;  // [piece]
    int pieces_seen = 0, gradients_seen = 0;
    std::int64_t rows = 0;           // rows of the pieces seen so far
    Tensor mean, variance, inv_std;  // [c]: of the pieces seen so far; inv_std is that of all pieces
    Tensor d_scale, d_bias;          // [c]: sums over the pieces seen so far
  };
  // The WholeBatchNorms of the current run on this thread; null if there is none.
  static WholeBatchNorms* active();
  Norm& next();  // the norm of the current call; norms are identified by call order
  int piece() const { return piece_; }
  int pieces() const { return pieces_; }

 private:
  const int pieces_;
  int piece_ = 0;
  std::size_t calls_ = 0;
  std::deque<Norm> norms_;  // in call order
};

}  // namespace kindred
