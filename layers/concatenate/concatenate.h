// Rows of two tensors, one after the other. The engine's own copies do it, so the folder has no kernels.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

// a [n, ...], b [m, ...] -> [n + m, ...]: the rows of `a`, then those of `b`. All axes but the first, the type
// and the device are the same.
Tensor concatenate(const Tensor& a, const Tensor& b);

}  // namespace kindred
