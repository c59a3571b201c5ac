// Concatenates the rows of two tensors. The engine's copies do the work, so the folder has no kernels.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

// a [n, ...], b [m, ...] -> [n + m, ...]: the rows of `a`, then those of `b`. The two must agree in all axes
// except the first, in type and in device.
Tensor concatenate(const Tensor& a, const Tensor& b);

}  // namespace kindred
