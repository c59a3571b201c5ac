// The raw kernels of the optimizers. The caller owns every tensor.
//
// All parameters lie in one flat tensor, so a kernel processes all of them in one pass. A table of chunks says
// which parameter each part belongs to: a chunk never crosses from one parameter to the next and holds at most
// `chunk_elements`. On a GPU one block processes one chunk. Sums run over chunks in the order of the table, so
// they do not depend on the number of threads.
//
// Every kernel that changes values first reads `non_finite` and does nothing if it is set. The host takes no
// part in that decision, so a whole step can be recorded once and replayed.
#pragma once

#include <kindred/engine/optimizer/update_rules.h>
#include <kindred/engine/tensor.h>

namespace kindred {

inline constexpr std::int64_t chunk_elements = 16384;
inline constexpr std::int64_t chunk_granule = 64;  // elements; every parameter starts at a multiple of this

struct Chunk {  // a row of FlatParameters::chunks
  std::int32_t parameter;
  std::int32_t first_granule;  // the first element is at first_granule * chunk_granule
  std::int32_t elements;
};

struct ParameterChunks {  // a row of FlatParameters::parameters
  std::int32_t first_chunk;
  std::int32_t chunks;
  std::int32_t adapted;  // LARS only: 0 if the parameter uses the plain learning rate
};

struct FlatParameters {
  Tensor values;         // [elements] master values, f32 or f64; this type is T below
  Tensor gradients;      // [elements] T
  Tensor low;            // [elements] low-precision copy, rewritten in the same pass; may be undefined
  Tensor chunks;         // i32 [chunks, 3]: Chunk
  Tensor parameters;     // i32 [parameters, 3]: ParameterChunks
  Tensor weight_decay;   // [parameters] T; 0 if the parameter is exempt
  Tensor learning_rate;  // [1] T
  Tensor non_finite;     // i32 [1]
  Tensor loss_scale;     // [4] T, the state of LossScaleRule: the gradients are those of
                         // scale * loss. If undefined, the scale is 1
};

// 1 / scale, by which the gradients are multiplied. For kernels that run on the host.
template <typename T>
T inverse_loss_scale(const FlatParameters& flat) {
  return flat.loss_scale.defined() ? flat.loss_scale.data<T>()[LossScaleRule<T>::inverse] : T{1};
}

struct OptimizerKernels {
  // flag[0] |= bit if a value is infinite or NaN. Never clears the flag.
  void (*check_finite)(const Tensor& values, std::int32_t bit, const Tensor& flag);

  // Updates values, low, and the state that is passed. `velocity` may be undefined if momentum is 0.
  void (*sgd)(const FlatParameters& flat, const Tensor& velocity, double momentum, bool nesterov);
  void (*rmsprop)(const FlatParameters& flat, const Tensor& velocity, const Tensor& mean_square, double rho,
                  double momentum, double eps);
  // `rates` is [parameters] T, the result of lars_rates.
  void (*lars)(const FlatParameters& flat, const Tensor& velocity, const Tensor& rates, double momentum);

  // squares[chunk] = {sum of w^2, sum of g^2}, f64 [chunks, 2]. With TrustNorm::combined the second is the sum
  // of (g + decay w)^2.
  void (*squared_norms)(const FlatParameters& flat, TrustNorm norm, const Tensor& squares);
  // rates[parameter] = lars_rate of the squares of its chunks; 1 if the parameter is not adapted.
  void (*lars_rates)(const FlatParameters& flat, const Tensor& squares, double eta, TrustNorm norm,
                     const Tensor& rates);

  // To be called after an update: applies LossScaleRule to flat.loss_scale and flat.non_finite. `overflow` is
  // the bit of the gradients.
  void (*adjust_loss_scale)(const FlatParameters& flat, std::int32_t overflow);
};
extern const OptimizerKernels optimizer_reference;    // f32, f64
extern const OptimizerKernels optimizer_cpu;          // f32
extern const OptimizerKernels optimizer_plan;         // plan.cpp
extern const OptimizerKernels* const optimizer_cuda;  // null in a build without CUDA

const OptimizerKernels& optimizer_kernels(Device device);

}  // namespace kindred
