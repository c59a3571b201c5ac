// Cross-entropy of class scores, with label smoothing (Szegedy et al. 2016, arXiv 1512.00567, section 7).
//
//   L_n = log sum over c of exp(x_nc) - sum over c of target_nc * x_nc,   the mean over the rows n
//   target_nc = (1 - smoothing) * [c is the label of n] + smoothing / C
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

class Communicator;

// logits [N, C] (f32 or bf16; f64 on reference), labels i32 [N], each in [0, C) -> scalar, f32 (f64 if the
// logits are f64). 0 <= smoothing < 1. The gradient has the type of the logits.
Tensor cross_entropy(const Tensor& logits, const Tensor& labels, float smoothing = 0.0f);

// The same for a batch that is divided among processes (engine/communicator): logits and labels are the
// process's own rows, as many on every process. The loss is the mean over the rows of all, the same bits on
// every process, and the gradient is that of this mean with respect to the own rows.
Tensor cross_entropy_shared(const Communicator& processes, const Tensor& logits, const Tensor& labels,
                            float smoothing = 0.0f);

// The loss of logits that are all equal: ln(classes), with or without smoothing.
double cross_entropy_collapse_value(int classes);

}  // namespace kindred
