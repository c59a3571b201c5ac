// The raw kernels of cross-entropy. The caller owns every tensor. Every result is overwritten completely.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

struct CrossEntropyKernels {
  // lse[N] = log sum over c of exp(logits[n, c]); loss[] = the mean over the rows, as in cross_entropy.h. Both
  // are f32 (f64 if the logits are f64).
  void (*forward)(const Tensor& logits, const Tensor& labels, double smoothing, Output lse, Output loss);
  // d_logits[n, c] = upstream[] / N * (exp(logits[n, c] - lse[n]) - target[n, c]). It has the type of the
  // logits.
  void (*backward)(const Tensor& logits, const Tensor& labels, double smoothing, const Tensor& lse,
                   const Tensor& upstream, Output d_logits);
};
extern const CrossEntropyKernels cross_entropy_reference;    // f32, f64
extern const CrossEntropyKernels cross_entropy_cpu;          // logits f32 or bf16
extern const CrossEntropyKernels cross_entropy_plan;         // see plan.cpp
extern const CrossEntropyKernels* const cross_entropy_cuda;  // null in a build without CUDA

const CrossEntropyKernels& cross_entropy_kernels(Device device);

}  // namespace kindred
