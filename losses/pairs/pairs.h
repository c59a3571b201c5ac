// Losses that depend on distances between rows: what triplet and max_margin share.
//
// Such a loss is the sum of terms of the squared distances q_ij = |z_i - z_j|^2, divided by the number of
// terms. The distances are computed for some rows at a time, [rows, M], never for all rows at once; the
// backward pass computes them again. If W_ij is the derivative with respect to q_ij, the gradient is dz_i = 2 *
// sum over j of (W_ij + W_ji) (z_i - z_j).
#pragma once

#include <kindred/engine/tape.h>
#include <kindred/engine/tensor.h>

#include <functional>

namespace kindred {

// Called for some rows at a time; `first` is the index of the first one, and distances [R, M] are squared. It
// writes the sum of the terms of each row to losses[R] and their number to counts[R] (f32). If `derive` is set,
// it overwrites the distances with the derivatives W of the sum.
using PairTerms =
    std::function<void(std::int64_t first, Output distances, bool derive, Output losses, Output counts)>;

struct PairStatistics {
  Tensor losses;  // [M] sum of the terms of each row
  Tensor counts;  // [M] number of the terms, in the type of the losses
};

// features [M, D], f32 (bf16 and f16 are converted to f32; f64 on reference) -> scalar: the sum of all terms
// divided by their number, or 0 if there are none. Records `operation`. `saved` are the tensors that `terms`
// reads; it gets them as the tape saved them. Throws Error(internal) for another shape or type.
using MakePairTerms = std::function<PairTerms(const std::vector<Tensor>& saved)>;
Tensor pair_loss(const Operation& operation, const Tensor& features, std::vector<Tensor> saved,
                 const MakePairTerms& make_terms, PairStatistics* statistics);

// Throws an error unless labels are i32 [M], on the features' device and not negative.
void check_pair_labels(const Tensor& features, const Tensor& labels, const char* what);

}  // namespace kindred
