// Scales rows to length 1. This turns the output of the projection head into points on the unit sphere, where a
// dot product is a cosine.
//
//   y = x / max(|x|, 1e-12),   dx = (dy - y (y . dy)) / |x|
//
// The gradient has no part along y, because moving a row along itself does not change its direction. A row
// whose length is at most 1e-12 has no meaningful direction. Its gradient is defined as 0 (the formula would
// give dy * 1e12).
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

inline constexpr double l2_normalize_shortest = 1e-12;

// x [M, D] -> [M, D] with rows of length 1. The result is f32 even if x is bf16, because the losses need the
// precision (f64 if x is f64). The gradient has the type of x.
Tensor l2_normalize(const Tensor& x);

}  // namespace kindred
