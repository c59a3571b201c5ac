// The raw kernel of the max-margin loss. The caller owns every tensor; every result is overwritten in full.
#pragma once

#include <kindred/losses/max_margin/max_margin.h>

namespace kindred {

struct MaxMarginKernels {
  // As PairTerms (losses/pairs): distances[R, M] of the rows from `first` on; labels i32 [M]. Two equal rows
  // have no direction to be pushed in: their derivative is 0.
  void (*terms)(const Tensor& labels, double margin, std::int64_t first, const Tensor& distances, bool derive,
                const Tensor& losses, const Tensor& counts);
};
extern const MaxMarginKernels max_margin_reference;    // f32, f64
extern const MaxMarginKernels max_margin_cpu;          // f32
extern const MaxMarginKernels max_margin_plan;         // plan.cpp
extern const MaxMarginKernels* const max_margin_cuda;  // f32; null in a build without CUDA

const MaxMarginKernels& max_margin_kernels(Device device);

}  // namespace kindred
