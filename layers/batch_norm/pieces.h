// Batch norm in training when a batch goes through the network in pieces (micro-batches), one after the other.
//
// Two ways. With statistics of each piece, only the running statistics need care: RunningMomentum. With the
// statistics of the whole batch, a norm must have seen all pieces before it can give the first one back:
// WholeBatchNorms, which sends a piece away (Waiting) until the others have come as far.
#pragma once

#include <kindred/layers/batch_norm/kernels.h>

#include <deque>
#include <vector>

namespace kindred {

// While one lives, the running statistics of this thread's norms move by this momentum instead of
// batch_norm_momentum; 0: they stay.
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

// Updates with these momenta, for the pieces 0, 1, ... of `pieces`, move running statistics as one update with
// batch_norm_momentum by the mean of the pieces' statistics would.
double momentum_of_piece(int piece, int pieces);

// The norms of one segment of a network (a block), over all pieces of a batch. The segment is run for every
// piece, again and again, until no run throws Waiting; then it has normalized with the statistics of the whole
// batch. The same holds for its backward pass, of which every run needs a forward run before it:
//
//   WholeBatchNorms norms(pieces);
//   for each piece, until none throws:
//     const WholeBatchNorms::Piece piece(norms, k);
//     y[k] = segment(x[k]);
//
// What is learned in a run is kept: each costs one norm less than the one before.
class WholeBatchNorms {
 public:
  struct Waiting {};  // thrown out of a run that needs what other pieces have not given yet

  explicit WholeBatchNorms(int pieces) : pieces_(pieces) {}
  WholeBatchNorms(const WholeBatchNorms&) = delete;
  WholeBatchNorms& operator=(const WholeBatchNorms&) = delete;

  // One run of the segment, on this thread, for one piece.
  class Piece {
   public:
    Piece(WholeBatchNorms& norms, int piece);
    ~Piece();
    Piece(const Piece&) = delete;
    Piece& operator=(const Piece&) = delete;
  };

  // The norms that this segment has are known after the first complete forward run.
  bool gradients_known() const;

  // For batch_norm() itself.
  struct Norm {
    std::vector<bool> seen, seen_gradient;  // [piece]
    int pieces_seen = 0, gradients_seen = 0;
    std::int64_t rows = 0;           // of the pieces so far
    Tensor mean, variance, inv_std;  // [c]: of the pieces so far; inv_std of all
    Tensor d_scale, d_bias;          // [c]: sums over the pieces so far
  };
  // The norms of the run under way on this thread, or null where there is none.
  static WholeBatchNorms* active();
  Norm& next();  // the norm that is called now: they are told apart by their order
  int piece() const { return piece_; }
  int pieces() const { return pieces_; }

 private:
  const int pieces_;
  int piece_ = 0;
  std::size_t calls_ = 0;
  std::deque<Norm> norms_;  // in the order of their calls
};

}  // namespace kindred
