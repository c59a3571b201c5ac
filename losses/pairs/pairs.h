// Losses of distances between rows: what triplet and max_margin share.
//
// Such a loss is the sum of terms of the squared distances q_ij = |z_i - z_j|^2, divided by the number of
// terms. The distances are made for some rows at a time, [rows, M], never all of them at once; backward makes
// them again. With W_ij the derivative by q_ij, the gradient is dz_i = 2 * sum over j of (W_ij + W_ji) (z_i -
// z_j).
#pragma once

#include <kindred/engine/tape.h>
#include <kindred/engine/tensor.h>

#include <functional>

namespace kindred {

// One call for some rows, the first of them `first`: distances [R, M] are squared. Fills losses[R] with the sum
// of the terms of each row and counts[R] (f32) with their number; overwrites distances with the derivatives W
// of the sum where `derive` is set.
using PairTerms = std::function<void(std::int64_t first, const Tensor& distances, bool derive,
                                     const Tensor& losses, const Tensor& counts)>;

struct PairStatistics {
  Tensor losses;  // [M] sum of the terms of each row
  Tensor counts;  // [M] in the type of the losses: their number
};

// features [M, D], f32 (bf16 and f16 are widened; f64 on reference) -> scalar: the sum of all terms over their
// number, 0 where there is none. Records `operation`. `saved` are tensors that `terms` reads; it gets them as
// they are saved. Errors: ExitCode::internal for another shape or type.
using MakePairTerms = std::function<PairTerms(const std::vector<Tensor>& saved)>;
Tensor pair_loss(const Operation& operation, const Tensor& features, std::vector<Tensor> saved,
                 const MakePairTerms& make_terms, PairStatistics* statistics);

// Fails unless labels are i32 [M], on the features' device and not negative.
void check_pair_labels(const Tensor& features, const Tensor& labels, const char* what);

}  // namespace kindred
