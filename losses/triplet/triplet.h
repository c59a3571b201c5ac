// The triplet loss: Schroff et al. 2015, "FaceNet" (arXiv 1503.03832), equation 3, with the mining methods of
// Hermans et al. 2017, "In Defense of the Triplet Loss" (arXiv 1703.07737).
//
//   max(0, |z_a - z_p|^2 - |z_a - z_n|^2 + margin)
//
// where p is another row with the label of a, and n is a row with another label. Which triplets are used:
//
//   batch_all   every triplet of the batch
//   batch_hard  one for each anchor that has a positive and a negative: its farthest positive and its nearest
//               negative (among equals the first in the batch)
//   semi_hard   every triplet whose negative is farther than the positive, by less than the margin
//
// The cost is O(M^2 D) for the distances, and M |P| |N| comparisons for batch_all and semi_hard. No M x M
// matrix is stored (losses/pairs).
#pragma once

#include <kindred/losses/pairs/pairs.h>

#include <cstdint>

namespace kindred {

enum class TripletMining : std::uint8_t { batch_all, batch_hard, semi_hard };

// The triplets over which the loss is averaged. Late in training, most triplets have zero loss and dominate the
// mean.
enum class TripletReduction : std::uint8_t {
  chosen,  // all triplets that the mining chose
  active,  // only triplets with a loss above 0
};

struct TripletOptions {
  float margin = 0.2f;  // FaceNet's value, for rows of length 1; at least 0
  TripletMining mining = TripletMining::batch_all;
  TripletReduction reduction = TripletReduction::active;
};

// features [M, D] in any floating type, normally of length 1; labels i32 [M], not negative -> scalar, f32 (f64
// on reference if the features are f64). The loss is 0 if there is no triplet. Throws Error(usage) for a margin
// below 0.
Tensor triplet(const Tensor& features, const Tensor& labels, const TripletOptions& options = {},
               PairStatistics* statistics = nullptr);

// The loss of identical features: the loss of every triplet is the margin. (Semi-hard mining finds none.)
double triplet_collapse_value(const TripletOptions& options);

}  // namespace kindred
