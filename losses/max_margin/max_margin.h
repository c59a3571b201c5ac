// The max-margin contrastive loss: Hadsell et al. 2006, "Dimensionality Reduction by Learning an Invariant
// Mapping", equation 4, over all pairs of a batch.
//
//   |z_i - z_j|^2 / 2                    if j has the label of i
//   max(0, margin - |z_i - z_j|)^2 / 2   if j has another label
//
// The loss is the mean over all pairs of different rows. O(M^2 D), and no M x M matrix is stored
// (losses/pairs).
#pragma once

#include <kindred/losses/pairs/pairs.h>

namespace kindred {

struct MaxMarginOptions {
  float margin = 1.0f;  // at least 0
};

// features [M, D] in any floating type; labels i32 [M], not negative -> scalar, f32 (f64 on reference if the
// features are f64). The loss of a single row is 0. Throws Error(usage) for a margin below 0.
Tensor max_margin(const Tensor& features, const Tensor& labels, const MaxMarginOptions& options = {},
                  PairStatistics* statistics = nullptr);

// The loss of identical features: margin^2 / 2 for each negative pair. `negative_share` is the fraction of
// pairs with different labels.
double max_margin_collapse_value(const MaxMarginOptions& options, double negative_share);

}  // namespace kindred
