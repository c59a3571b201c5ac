// The multi-class N-pairs loss: Sohn 2016, "Improved Deep Metric Learning with Multi-class N-pair Loss
// Objective", equation 3.
//
//   L_i = log( 1 + sum over j of exp((a_i.p_j - a_i.p_i) / T) ),   j the images of other classes
//
// a_i is the first view of image i and p_i its second. The paper draws one pair from each class; in a batch
// that holds a class more often, its other images are left out. It has T = 1 and a penalty on the length of
// features, which are not normalised; for rows of length 1 that is a constant, and a T below 1 does its work.
//
// These are SupCon's rectangular kernels (losses/supcon/kernels.h) with one view as anchors, the other as
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

// features [2*B, D] view-major, f32 (f64 on reference); labels i32 [2*B], the same for both views, not
// negative.
// -> scalar, the mean over the B anchors. Error(usage) for an odd number of rows and T <= 0.
Tensor n_pairs(const Tensor& features, const Tensor& labels, const NPairsOptions& options = {},
               NPairsStatistics* statistics = nullptr);

}  // namespace kindred
