#include <kindred/engine/kernels/work.h>
#include <kindred/losses/max_margin/kernels.h>

namespace kindred {
namespace {

const WorkKind terms_kind("max_margin.terms");

void terms(const Tensor& labels, double, std::int64_t, Output distances, bool derive, Output losses,
           Output counts) {
  record_work(terms_kind, {.read = bytes_of({labels, distances}),
                           .written = bytes_of({derive ? distances : Tensor(), losses, counts})});
}

}  // namespace

const MaxMarginKernels max_margin_plan = {terms};

}  // namespace kindred
