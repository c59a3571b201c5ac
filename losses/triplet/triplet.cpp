#include <kindred/engine/kernels/select.h>
#include <kindred/losses/triplet/kernels.h>

#include <cmath>

namespace kindred {
namespace {

const Operation triplet_operation("triplet");

}  // namespace

const TripletKernels& triplet_kernels(Device device) {
  return select_kernels("triplet", device, triplet_reference, triplet_cpu, triplet_cuda, triplet_plan);
}

Tensor triplet(const Tensor& features, const Tensor& labels, const TripletOptions& options,
               PairStatistics* statistics) {
  check(std::isfinite(options.margin) && options.margin >= 0, ExitCode::usage,
        "triplet: the margin is {}; it must be 0 or more (0.2 is usual)", options.margin);
  check_pair_labels(features, labels, "triplet");
  return pair_loss(
      triplet_operation, features, {labels},
      [options](const std::vector<Tensor>& saved) -> PairTerms {
        return [options, labels_of = saved[0]](std::int64_t first, Output distances, bool derive, Output losses,
                                               Output counts) {
          triplet_kernels(distances.device())
              .terms(labels_of, options, first, distances, derive, losses, counts);
        };
      },
      statistics);
}

double triplet_collapse_value(const TripletOptions& options) {
  return options.mining == TripletMining::semi_hard ? 0.0 : static_cast<double>(options.margin);
}

}  // namespace kindred
