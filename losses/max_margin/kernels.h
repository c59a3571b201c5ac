// The raw kernel of the max-margin loss. The caller owns every tensor. Every result is overwritten completely.
#pragma once

#include <kindred/losses/max_margin/max_margin.h>

namespace kindred {

struct MaxMarginKernels {
  // Has the form of PairTerms (losses/pairs): distances[R, M] of the rows from `first` on; labels i32 [M]. The
  // derivative of two equal rows is 0, because there is no direction to push them in.
  void (*terms)(const Tensor& labels, double margin, std::int64_t first, Output distances, bool derive,
                Output losses, Output counts);
};
extern const MaxMarginKernels max_margin_reference;    // f32, f64
extern const MaxMarginKernels max_margin_cpu;          // f32
extern const MaxMarginKernels max_margin_plan;         // see plan.cpp
extern const MaxMarginKernels* const max_margin_cuda;  // f32; null in a build without CUDA

const MaxMarginKernels& max_margin_kernels(Device device);

}  // namespace kindred
