// The triplet loss: Schroff et al. 2015, "FaceNet" (arXiv 1503.03832), equation 3, with the ways of choosing
// triplets of Hermans et al. 2017, "In Defense of the Triplet Loss" (arXiv 1703.07737).
//
//   max(0, |z_a - z_p|^2 - |z_a - z_n|^2 + margin),   p another row with a's label, n a row with another label
//
//   batch_all   every triplet of the batch
//   batch_hard  one for each anchor that has both: its farthest positive and its nearest negative (of equals
//   the
//               first in the batch)
//   semi_hard   every triplet whose negative is farther than the positive, by less than the margin
//
// O(M^2 D) for the distances, and for batch_all and semi_hard M |P| |N| comparisons. No M x M matrix
// (losses/pairs).
#pragma once

#include <kindred/losses/pairs/pairs.h>

#include <cstdint>

namespace kindred {

enum class TripletMining : std::uint8_t { batch_all, batch_hard, semi_hard };

// Over which triplets the loss is averaged. Those of zero loss drown the others late in training.
enum class TripletReduction : std::uint8_t {
  chosen,  // all that the mining chose
  active,  // those with a loss above 0
};

struct TripletOptions {
  float margin = 0.2f;  // FaceNet's, for rows of length 1; 0 or more
  TripletMining mining = TripletMining::batch_all;
  TripletReduction reduction = TripletReduction::active;
};

// features [M, D] in any floating type, normally of length 1; labels i32 [M], not negative. -> scalar, f32 (f64
// on reference where the features are); 0 where there is no triplet. Error(usage) for a margin below 0.
Tensor triplet(const Tensor& features, const Tensor& labels, const TripletOptions& options = {},
               PairStatistics* statistics = nullptr);

// The loss of identical features: every triplet gives the margin. (Semi-hard mining finds none.)
double triplet_collapse_value(const TripletOptions& options);

}  // namespace kindred
