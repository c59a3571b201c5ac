// Gradients that a kernel wrote in 16 bits, on their way to a store's f32 gradients.
#pragma once

#include <kindred/engine/tensor.h>

#include <span>

namespace kindred {

// to[row, c] = from[row, c], or is increased by it. `to` has the shape of `from`, or a shorter last axis: of each row the first numbers are
// taken.
struct Widening {
  Tensor from;  // f32, bf16 or f16; one type in all of a call
  Output to;    // f32; no two of a call overlap
  bool adds = false;
};

// A GPU does so many in one launch. A ResNet-50 has 53 filters.
constexpr int most_widenings = 100;

// Does all of them, in as few launches as possible.
using Widen = void (*)(std::span<const Widening> all);

}  // namespace kindred
