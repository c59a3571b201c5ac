// Functions of each element alone: the rectifier and the sum.
//
// In a network, most of both are fused into batch_norm (layers/batch_norm), which saves reading everything
// again.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

// max(x, 0), elementwise; a NaN stays one. Backward needs the result only, which the next layer keeps anyway;
// the gradient at 0 is 0.
Tensor relu(const Tensor& x);

// a + b, elementwise: one shape, type and device. (The kernel that writes into a given tensor is
// engine/accumulate.h.)
Tensor add(const Tensor& a, const Tensor& b);

}  // namespace kindred
