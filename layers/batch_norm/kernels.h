// The raw kernels of batch normalization, in separate halves. To compute statistics over several processes or
// micro-batches, combine the results of the first half before calling the second.
//
// x, residual, y and their gradients are [rows, c] in memory ([n, h, w, c] images); statistics and scales are
// f32 [c] (f64 if x is f64). The caller owns every tensor. Every result is overwritten completely.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

// The per-channel values of a batch norm: [c], f32 (f64 if x is f64).
struct BatchNormChannels {
  Tensor mean, inv_std, scale;
  Tensor bias = {};  // only apply() needs it
};

// The gradients of a batch norm's parameters, [c], and the number of summed rows (0 if the statistics
// were constants).
struct BatchNormSums {
  Tensor d_scale, d_bias;
  std::int64_t count;
};

struct BatchNormKernels {
  // Computes mean[c] and the biased variance[c] over the rows.
  void (*statistics)(const Tensor& x, Output mean, Output variance);

  // y = relu?((x - mean) * inv_std * scale + bias + residual?). `residual` may be undefined. If `mask` is
  // defined, the ReLU is applied and the mask records it: bit e % 8 of mask[e / 8] is set if element e passed.
  // The mask is u8 [ceil(rows * c / 8)].
  void (*apply)(const Tensor& x, const BatchNormChannels& channels, const Tensor& residual, bool relu,
                Output mask, Output y);

  // The incoming gradient is dy + addend, rounded to the type of dy; `addend` is undefined if there is only one. With
  // dz = the incoming gradient where the mask passes it and 0 elsewhere, and x^ = (x - mean) * inv_std: d_bias[c] = sum
  // of dz, d_scale[c] = sum of dz * x^, both over the rows. `dz` is written if it is defined, which it must be if
  // `addend` is. Then apply_backward is given dz as dy and no mask. dz overlaps no other tensor.
  void (*reduce)(const Tensor& dy, const Tensor& addend, const Tensor& mask, const Tensor& x,
                 const BatchNormChannels& channels, Output d_scale, Output d_bias, Output dz);

  // dx = scale * inv_std * (dz - (d_bias + x^ * d_scale) / count), or scale * inv_std * dz if count is 0 (the
  // statistics were constants). d_residual = dz if it is defined. `dx` may be undefined.
  void (*apply_backward)(const Tensor& dy, const Tensor& mask, const Tensor& x,
                         const BatchNormChannels& channels, const BatchNormSums& sums, Output dx,
                         Output d_residual);

  // inv_std = 1 / sqrt(variance + epsilon). If `running_mean` is defined, the running statistics move towards
  // the batch's: r = (1 - momentum) r + momentum b. The running variance is unbiased: b is multiplied by count
  // / (count - 1).
  void (*finish_statistics)(const Tensor& mean, const Tensor& variance, double epsilon, double momentum,
                            std::int64_t count, Output inv_std, Output running_mean, Output running_variance);

  // statistics() and finish_statistics() in one call, for norms that share their statistics with nobody: on a GPU one
  // kernel instead of three.
  void (*statistics_and_finish)(const Tensor& x, double epsilon, double momentum, std::int64_t count,
                                Output mean, Output variance, Output inv_std, Output running_mean,
                                Output running_variance);

  // Merges two sets of rows: mean and variance become those of their own rows and the other's rows together.
  // `share` is the other's fraction of all rows.
  void (*merge)(const Tensor& other_mean, const Tensor& other_variance, double share, Output mean,
                Output variance);

  // Mean and variance of n sets of rows together, all of the same size. parts is [n, 2, c]: each set's mean[c],
  // then its variance[c]. The sets are merged in their order, so the same parts always give the same bits.
  void (*merge_all)(const Tensor& parts, Output mean, Output variance);
};
extern const BatchNormKernels batch_norm_reference;    // f32, f64
extern const BatchNormKernels batch_norm_cpu;          // f32, bf16
extern const BatchNormKernels batch_norm_plan;         // see plan.cpp
extern const BatchNormKernels* const batch_norm_cuda;  // null in a build without CUDA

const BatchNormKernels& batch_norm_kernels(Device device);

// Bytes of the mask of `elements` elements.
constexpr std::int64_t mask_bytes(std::int64_t elements) {
  return (elements + 7) / 8;
}

}  // namespace kindred
