// A distance, or a term of a gradient, takes a subtraction, a multiplication and an addition for each element
// of the features. The features come from the cache.
#include <kindred/engine/kernels/work.h>
#include <kindred/losses/pairs/kernels.h>

namespace kindred {
namespace {

const WorkKind distances_kind("pairs.distances"), mean_kind("pairs.mean"), gradient_kind("pairs.gradient");

double elements(const Tensor& pairs, const Tensor& features) {
  return static_cast<double>(pairs.numel()) * static_cast<double>(features.dim(1));
}

void distances(const Tensor& features, std::int64_t, Output result) {
  record_work(distances_kind, {.read = bytes_of({features}),
                               .written = bytes_of({result}),
                               .operations = 3 * elements(result, features)});
}

void mean(const Tensor& losses, const Tensor& counts, Output loss, Output weight) {
  record_work(mean_kind, {.read = bytes_of({losses, counts}), .written = bytes_of({loss, weight})});
}

// Every pair changes the gradients of both of its rows.
void add_gradient(const Tensor& features, std::int64_t, const Tensor& weights, const Tensor& upstream,
                  const Tensor& weight, Output d_features) {
  record_work(gradient_kind, {.read = bytes_of({features, weights, upstream, weight, d_features}),
                              .written = bytes_of({d_features}),
                              .operations = 6 * elements(weights, features)});
}

}  // namespace

const PairsKernels pairs_plan = {distances, mean, add_gradient};

}  // namespace kindred
