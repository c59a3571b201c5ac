// The max-margin contrastive loss: Hadsell et al. 2006, "Dimensionality Reduction by Learning an Invariant
// Mapping", equation 4, over all pairs of a batch.
//
//   |z_i - z_j|^2 / 2                    where j has i's label
//   max(0, margin - |z_i - z_j|)^2 / 2   where it has another
//
// The mean over all pairs of different rows. O(M^2 D), and no M x M matrix (losses/pairs).
#pragma once

#include <kindred/losses/pairs/pairs.h>

namespace kindred {

struct MaxMarginOptions {
  float margin = 1.0f;  // 0 or more
};

// features [M, D] in any floating type; labels i32 [M], not negative. -> scalar, f32 (f64 on reference where
// the features are); 0 for a single row. Error(usage) for a margin below 0.
Tensor max_margin(const Tensor& features, const Tensor& labels, const MaxMarginOptions& options = {},
                  PairStatistics* statistics = nullptr);

// The loss of identical features: margin^2 / 2 for each negative. `negative_share` is the share of pairs with
// different labels.
double max_margin_collapse_value(const MaxMarginOptions& options, double negative_share);

}  // namespace kindred
