// bf16 on a CPU for which oneDNN does not support it (onednn::has_bf16). A layer's kernel calls itself with f32
// copies of its arguments, and only the result is rounded to bf16.
#pragma once

#include <kindred/engine/tensor.h>
#include <kindred/third_party/onednn/onednn.h>

namespace kindred {

inline bool computes_in_f32(DType dtype) {
  return dtype == DType::bf16 && !onednn::has_bf16();
}

// Returns an f32 copy on the CPU. An undefined argument stays undefined.
inline Tensor widened(const Tensor& tensor) {
  return tensor.defined() ? tensor.to(Device::cpu, DType::f32) : Tensor();
}

// Calls kernel(f32 tensor of the result's shape) and copies the values to `result`. If the result is f32
// already, as a filter gradient may be, the kernel writes to it directly.
template <typename Kernel>
void compute_in_f32(Output result, const Kernel& kernel) {
  if (result.dtype() == DType::f32) return kernel(result);
  const Output computed(Tensor::empty(result.shape(), DType::f32, Device::cpu));
  kernel(computed);
  result.copy_from(computed);
}

}  // namespace kindred
