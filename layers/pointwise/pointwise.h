// Elementwise functions: the ReLU and the sum.
//
// In a network, most such functions are fused into batch_norm (layers/batch_norm), which saves another pass
// through memory.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

// max(x, 0), elementwise; a NaN stays a NaN. The backward pass needs only the result, which the next layer
// keeps anyway. The gradient at 0 is 0.
Tensor relu(const Tensor& x);

// a + b, elementwise. Both must have the same shape, type and device. (engine/kernels/accumulate.h has the
// version that writes into a given tensor.)
Tensor add(const Tensor& a, const Tensor& b);

}  // namespace kindred
