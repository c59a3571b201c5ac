#include <kindred/engine/kernels/select.h>
#include <kindred/losses/max_margin/kernels.h>

#include <cmath>

namespace kindred {
namespace {

const Operation max_margin_operation("max_margin");

}  // namespace

const MaxMarginKernels& max_margin_kernels(Device device) {
  return select_kernels("max_margin", device, max_margin_reference, max_margin_cpu, max_margin_cuda,
                        max_margin_plan);
}

Tensor max_margin(const Tensor& features, const Tensor& labels, const MaxMarginOptions& options,
                  PairStatistics* statistics) {
  check(std::isfinite(options.margin) && options.margin >= 0, ExitCode::usage,
        "max_margin: the margin is {}; it must be 0 or more (1 is usual)", options.margin);
  check_pair_labels(features, labels, "max_margin");
  const double margin = options.margin;
  return pair_loss(
      max_margin_operation, features, {labels},
      [margin](const std::vector<Tensor>& saved) -> PairTerms {
        return [margin, labels_of = saved[0]](std::int64_t first, Output distances, bool derive, Output losses,
                                              Output counts) {
          max_margin_kernels(distances.device())
              .terms(labels_of, margin, first, distances, derive, losses, counts);
        };
      },
      statistics);
}

double max_margin_collapse_value(const MaxMarginOptions& options, double negative_share) {
  return negative_share * static_cast<double>(options.margin) * static_cast<double>(options.margin) / 2;
}

}  // namespace kindred
