#include <kindred/layers/batch_norm/batch_norm.h>
#include <kindred/layers/batch_norm/pieces.h>

#include <algorithm>

namespace kindred {
namespace {

thread_local double running_momentum = batch_norm_momentum;
thread_local WholeBatchNorms* active_norms = nullptr;

}  // namespace

RunningMomentum::RunningMomentum(double momentum) : outer_(running_momentum) {
  running_momentum = momentum;
}
RunningMomentum::~RunningMomentum() {
  running_momentum = outer_;
}
double RunningMomentum::current() {
  return running_momentum;
}

// After piece k the running value consists of the old value and of k + 1 pieces. Their total weight in the
// final value is w_k = (1 - m) + (k + 1) m / K, which grows by m / K with each piece.
double momentum_of_piece(int piece, int pieces) {
  const double share = batch_norm_momentum / pieces;
  return share / (1 - batch_norm_momentum + (piece + 1) * share);
}

WholeBatchNorms::Piece::Piece(WholeBatchNorms& norms, int piece) {
  check(active_norms == nullptr, ExitCode::internal, "two pieces of a batch run at once on one thread");
  norms.piece_ = piece;
  norms.calls_ = 0;
  active_norms = &norms;
}
WholeBatchNorms::Piece::~Piece() {
  active_norms = nullptr;
}

WholeBatchNorms* WholeBatchNorms::active() {
  return active_norms;
}

WholeBatchNorms::Norm& WholeBatchNorms::next() {
  if (calls_ == norms_.size()) {
    const std::vector<bool> none(static_cast<std::size_t>(pieces_));
    norms_.push_back({none, none, 0, 0, 0, {}, {}, {}, {}, {}});
  }
  return norms_[calls_++];
}

bool WholeBatchNorms::gradients_known() const {
  return std::all_of(norms_.begin(), norms_.end(),
                     [&](const Norm& norm) { return norm.gradients_seen == pieces_; });
}

}  // namespace kindred
