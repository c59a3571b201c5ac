// Rows scaled to length 1: what turns the projection head's output into points on the sphere, where a dot
// product is a cosine.
//
//   y = x / max(|x|, 1e-12),   dx = (dy - y (y . dy)) / |x|
//
// The gradient has lost its part along y: moving a row along itself does not move its direction. A row of
// zeros, or one no longer than 1e-12, has no direction to speak of: its gradient is defined as 0 (the formula's
// would be dy * 1e12).
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

inline constexpr double l2_normalize_shortest = 1e-12;

// x [M, D] -> [M, D] with rows of length 1, in f32 also where x is bf16 (in f64 where x is): the losses want
// the digits. The gradient has the type of x.
Tensor l2_normalize(const Tensor& x);

}  // namespace kindred
