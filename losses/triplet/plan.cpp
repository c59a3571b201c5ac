#include <kindred/engine/kernels/work.h>
#include <kindred/losses/triplet/kernels.h>

namespace kindred {
namespace {

const WorkKind terms_kind("triplet.terms");

// Instructions for an anchor, a column and its partner: two loads, four comparisons, the term and its sums.
constexpr double instructions = 12;

void terms(const Tensor& labels, const TripletOptions& options, std::int64_t, Output distances, bool derive,
           Output losses, Output counts) {
  // The hardest partners of an anchor are found in one pass; with other mining every column looks at every
  // other one.
  const bool one_pass = options.mining == TripletMining::batch_hard;
  const double partners = one_pass ? 2 : static_cast<double>(distances.dim(1));
  const Tensor derivatives = derive ? distances : Tensor();  // has the same size
  record_work(terms_kind, {.read = bytes_of({labels, distances}),
                           .written = bytes_of({derivatives, losses, counts}),
                           .operations = instructions * static_cast<double>(distances.numel()) * partners});
  if (derive) Tensor(distances).copy_from(derivatives);
}

}  // namespace

const TripletKernels triplet_plan = {terms};

}  // namespace kindred
