// Losses compute in f32 where the features have 16 bits.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

// Converts 16-bit features to f32, in which the kernels compute. f32 and f64 features are returned unchanged.
inline Tensor widened(const Tensor& features) {
  const bool narrow = features.dtype() == DType::bf16 || features.dtype() == DType::f16;
  return narrow ? features.to(features.device(), DType::f32) : features;
}

}  // namespace kindred
