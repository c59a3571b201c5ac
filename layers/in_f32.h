// bf16 on a CPU for which oneDNN has none (onednn::has_bf16): a layer's kernel calls itself with f32 copies of its
// arguments, and only the result is rounded to bf16.
#pragma once

#include <kindred/engine/tensor.h>
#include <kindred/third_party/onednn.h>

namespace kindred {

inline bool computes_in_f32(DType dtype) {
  return dtype == DType::bf16 && !onednn::has_bf16();
}

// An f32 copy on the CPU; an argument that was not given stays so.
inline Tensor widened(const Tensor& tensor) {
  return tensor.defined() ? tensor.to(Device::cpu, DType::f32) : Tensor();
}

// kernel(f32 tensor of the result's shape), whose values then go into `result`: a filter's gradient may be f32 already.
template <typename Kernel>
void compute_in_f32(Tensor result, const Kernel& kernel) {
  if (result.dtype() == DType::f32) return kernel(result);
  const Tensor computed = Tensor::empty(result.shape(), DType::f32, Device::cpu);
  kernel(computed);
  result.copy_from(computed);
}

}  // namespace kindred
