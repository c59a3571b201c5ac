// The multi-class N-pairs loss: Sohn 2016, "Improved Deep Metric Learning with Multi-class N-pair Loss
// Objective", equation 3.
//
//   L_i = log( 1 + sum over j of exp((a_i.p_j - a_i.p_i) / T) ),   j runs over the images of other classes
//
// a_i is the first view of image i and p_i its second. The paper draws one pair from each class. If a batch
// holds a class more than once, its other images are left out. The paper uses T = 1 and a penalty on the length
// of the features, which are not normalised. For rows of length 1 the penalty is a constant, and a T below 1
// takes its place.
//
// The loss uses SupCon's rectangular kernels (losses/supcon/kernels.h), with one view as anchors, the other as
// contrasts, and a cap of one positive.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

struct NPairsOptions {
  float temperature = 1.0f;
};

struct NPairsStatistics {
  Tensor losses;     // [B] L_i
  Tensor negatives;  // i32 [B]
};

// features [2*B, D] view-major, f32 (f64 on reference); labels i32 [2*B], the same for both views, not negative
// -> scalar, the mean over the B anchors. Throws Error(usage) for an odd number of rows or for T <= 0.
Tensor n_pairs(const Tensor& features, const Tensor& labels, const NPairsOptions& options = {},
               NPairsStatistics* statistics = nullptr);

// The loss of identical features, for anchors with this number of negatives: ln(1 + negatives).
double n_pairs_collapse_value(double negatives);

}  // namespace kindred
