// Adding tensors, and moving averages. The tape adds with these kernels when a tensor has two gradients; the
// layer `add` uses the same kernel.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

struct AccumulateKernels {
  // out = a + b, elementwise. All three have one shape and element type. `out` may be `a` or `b` (in place).
  void (*add)(const Tensor& a, const Tensor& b, Output out);
  // average += (value - average) * weight, elementwise, in f32 (on reference also f64).
  void (*move_average)(Output average, const Tensor& value, double weight);
};
extern const AccumulateKernels accumulate_reference;    // f32, f64
extern const AccumulateKernels accumulate_cpu;          // f32, bf16
extern const AccumulateKernels accumulate_plan;         // see engine/kernels/work.h
extern const AccumulateKernels* const accumulate_cuda;  // null in a build without CUDA

// out = a + b.
void add(const Tensor& a, const Tensor& b, Output out);
// target += value.
void accumulate(Output target, const Tensor& value);
// An exponential moving average: average += (value - average) * weight.
void move_average(Output average, const Tensor& value, double weight);

}  // namespace kindred
