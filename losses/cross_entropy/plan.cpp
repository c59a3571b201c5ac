#include <kindred/engine/kernels/work.h>
#include <kindred/losses/cross_entropy/kernels.h>

namespace kindred {
namespace {

const WorkKind rows_kind("cross_entropy.rows"), mean_kind("cross_entropy.mean");

void forward(const Tensor& logits, const Tensor& labels, double, std::int64_t, Output lse, Output loss) {
  // The losses of the rows have the size of lse.
  record_work(rows_kind, {.read = bytes_of({logits, labels}), .written = bytes_of({lse, lse})});
  record_work(mean_kind, {.read = bytes_of({lse}), .written = bytes_of({loss})});
}

void backward(const Tensor& logits, const Tensor& labels, double, std::int64_t, const Tensor& lse,
              const Tensor& upstream, Output d_logits) {
  record_work(rows_kind, {.read = bytes_of({logits, labels, lse, upstream}), .written = bytes_of({d_logits})});
}

}  // namespace

const CrossEntropyKernels cross_entropy_plan = {forward, backward};

}  // namespace kindred
