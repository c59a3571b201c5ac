#include <kindred/layers/batch_norm/batch_norm.h>
#include <kindred/layers/batch_norm/whole_batch.h>

#include <algorithm>

namespace kindred {
namespace {

thread_local WholeBatchNorms* active_norms = nullptr;

}  // namespace

// After micro-batch k the running value consists of the old value and of k + 1 micro-batches. Their total
// weight in the final value is w_k = (1 - m) + (k + 1) m / K, which grows by m / K with each micro-batch.
double momentum_of_micro_batch(int micro_batch, int micro_batches) {
  const double share = batch_norm_momentum / micro_batches;
  return share / (1 - batch_norm_momentum + (micro_batch + 1) * share);
}

WholeBatchNorms::MicroBatch::MicroBatch(WholeBatchNorms& norms, int micro_batch) {
  check(active_norms == nullptr, ExitCode::internal, "two micro-batches run at once on one thread");
  norms.micro_batch_ = micro_batch;
  norms.calls_ = 0;
  active_norms = &norms;
}
WholeBatchNorms::MicroBatch::~MicroBatch() {
  active_norms = nullptr;
}

WholeBatchNorms* WholeBatchNorms::active() {
  return active_norms;
}

WholeBatchNorms::Norm& WholeBatchNorms::next() {
  if (calls_ == norms_.size()) {
    const std::vector<bool> none(static_cast<std::size_t>(micro_batches_));
    norms_.push_back({.seen = none, .seen_gradient = none});
  }
  return norms_[calls_++];
}

bool WholeBatchNorms::gradients_known() const {
  return std::all_of(norms_.begin(), norms_.end(),
                     [&](const Norm& norm) { return norm.gradients_seen == micro_batches_; });
}

}  // namespace kindred
