// The raw kernel of the triplet loss. The caller owns every tensor. Every result is overwritten completely.
#pragma once

#include <kindred/losses/triplet/triplet.h>

namespace kindred {

struct TripletKernels {
  // Has the form of PairTerms (losses/pairs): distances[R, M] of the anchors from `first` on; labels i32 [M].
  void (*terms)(const Tensor& labels, const TripletOptions& options, std::int64_t first, Output distances,
                bool derive, Output losses, Output counts);
};
extern const TripletKernels triplet_reference;    // f32, f64
extern const TripletKernels triplet_cpu;          // f32
extern const TripletKernels triplet_plan;         // see plan.cpp
extern const TripletKernels* const triplet_cuda;  // f32; null in a build without CUDA

const TripletKernels& triplet_kernels(Device device);

}  // namespace kindred
