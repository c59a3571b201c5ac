// The raw kernels of the optimizers. The caller owns every tensor.
//
// All parameters lie in one flat tensor, so a kernel goes over all of them in one pass. A table of chunks says
// which parameter each stretch belongs to: a chunk never crosses from one parameter to the next and holds at
// most `chunk_elements`. On a GPU a chunk is the work of one block. Sums run over chunks in the order of the
// table, so they are the same for any number of threads.
//
// Every kernel that changes something first looks at `non_finite` and does nothing when it is set. The host
// does not take part in that decision, so a whole step can be recorded once and replayed.
#pragma once

#include <kindred/engine/optimizer/update_rules.h>
#include <kindred/engine/tensor.h>

namespace kindred {

inline constexpr std::int64_t chunk_elements = 16384;
inline constexpr std::int64_t chunk_granule = 64;  // elements; every parameter starts at a multiple of it

struct Chunk {  // a row of FlatParameters::chunks
  std::int32_t parameter;
  std::int32_t first_granule;  // the first element is at first_granule * chunk_granule
  std::int32_t elements;
};

struct ParameterChunks {  // a row of FlatParameters::parameters
  std::int32_t first_chunk;
  std::int32_t chunks;
  std::int32_t adapted;  // LARS only: 0 where the parameter keeps the plain learning rate
};

struct FlatParameters {
  Tensor values;         // [elements] masters, f32 or f64: T below
  Tensor gradients;      // [elements] T
  Tensor low;            // [elements] low-precision copy, rewritten in the same pass; or undefined
  Tensor chunks;         // i32 [chunks, 3]: Chunk
  Tensor parameters;     // i32 [parameters, 3]: ParameterChunks
  Tensor weight_decay;   // [parameters] T; 0 where the parameter is exempt
  Tensor learning_rate;  // [1] T
  Tensor non_finite;     // i32 [1]
  Tensor loss_scale;     // [4] T: what LossScaleRule keeps. The gradients are those of scale * loss. Undefined:
                         // scale 1
};

// 1 / scale: what the gradients are multiplied by. For kernels that run on the host.
template <typename T>
T inverse_loss_scale(const FlatParameters& flat) {
  return flat.loss_scale.defined() ? flat.loss_scale.data<T>()[LossScaleRule<T>::inverse] : T{1};
}

struct OptimizerKernels {
  // flag[0] |= bit when a value is infinite or NaN. Never clears.
  void (*check_finite)(const Tensor& values, std::int32_t bit, const Tensor& flag);

  // Rewrites values, low, and the state that is passed. `velocity` may be undefined where momentum is 0.
  void (*sgd)(const FlatParameters& flat, const Tensor& velocity, double momentum, bool nesterov);
  void (*rmsprop)(const FlatParameters& flat, const Tensor& velocity, const Tensor& mean_square, double rho,
                  double momentum, double eps);
  // `rates` [parameters] T: from lars_rates.
  void (*lars)(const FlatParameters& flat, const Tensor& velocity, const Tensor& rates, double momentum);

  // squares[chunk] = {sum of w^2, sum of g^2}, f64 [chunks, 2]; of (g + decay w)^2 with TrustNorm::combined.
  void (*squared_norms)(const FlatParameters& flat, TrustNorm norm, const Tensor& squares);
  // rates[parameter] = lars_rate of its chunks' squares; 1 where it is not adapted.
  void (*lars_rates)(const FlatParameters& flat, const Tensor& squares, double eta, TrustNorm norm,
                     const Tensor& rates);

  // After an update: LossScaleRule on flat.loss_scale and flat.non_finite, where `overflow` is the gradients'
  // bit.
  void (*adjust_loss_scale)(const FlatParameters& flat, std::int32_t overflow);
};
extern const OptimizerKernels optimizer_reference;    // f32, f64
extern const OptimizerKernels optimizer_cpu;          // f32
extern const OptimizerKernels optimizer_plan;         // plan.cpp
extern const OptimizerKernels* const optimizer_cuda;  // null in a build without CUDA

const OptimizerKernels& optimizer_kernels(Device device);

}  // namespace kindred
