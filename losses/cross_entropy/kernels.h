// The raw kernels of cross-entropy. The caller owns every tensor. Every result is overwritten completely.
#pragma once

#include <kindred/engine/tensor.h>

#include <cstdint>

namespace kindred {

struct CrossEntropyKernels {
  // lse[N] = log sum over c of exp(logits[n, c]); loss[] = the sum of L_n over these rows, divided by
  // `mean_rows`: the number of rows over which the mean is taken, N or more. Both are f32 (f64 if the logits
  // are f64).
  void (*forward)(const Tensor& logits, const Tensor& labels, double smoothing, std::int64_t mean_rows,
                  Output lse, Output loss);
  // d_logits[n, c] = upstream[] / mean_rows * (exp(logits[n, c] - lse[n]) - target[n, c]). It has the type of
  // the logits.
  void (*backward)(const Tensor& logits, const Tensor& labels, double smoothing, std::int64_t mean_rows,
                   const Tensor& lse, const Tensor& upstream, Output d_logits);
};
extern const CrossEntropyKernels cross_entropy_reference;    // f32, f64
extern const CrossEntropyKernels cross_entropy_cpu;          // logits f32 or bf16
extern const CrossEntropyKernels cross_entropy_plan;         // see plan.cpp
extern const CrossEntropyKernels* const cross_entropy_cuda;  // null in a build without CUDA

const CrossEntropyKernels& cross_entropy_kernels(Device device);

}  // namespace kindred
