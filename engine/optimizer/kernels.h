// The raw kernels of the optimizers. The caller owns every tensor.
//
// Every kernel that changes values first reads `non_finite` and does nothing if it is set. The host takes no
// part in that decision, so a whole step can be recorded once and replayed.
#pragma once

#include <kindred/engine/optimizer/adamw.h>
#include <kindred/engine/optimizer/flat_parameters.h>
#include <kindred/engine/optimizer/update_rules.h>

namespace kindred {

// 1 / scale, by which the gradients are multiplied. For kernels that run on the host.
template <typename T>
T inverse_loss_scale(const FlatParameters& flat) {
  return flat.loss_scale.defined() ? flat.loss_scale.data<T>()[LossScaleRule<T>::inverse] : T{1};
}

// What the learning rate of a parameter is multiplied by. For kernels that run on the host.
template <typename T>
T rate_factor_of(const FlatParameters& flat, std::int64_t parameter) {
  return flat.rate_factor.defined() ? flat.rate_factor.data<T>()[parameter] : T{1};
}

struct OptimizerKernels {
  // flag[0] |= bit if a value is infinite or NaN. Never clears the flag.
  void (*check_finite)(const Tensor& values, std::int32_t bit, Output flag);

  // Updates values, low, and the state that is passed. `velocity` may be undefined if momentum is 0. The learning
  // rate of a parameter is flat.learning_rate times its rate_factor.
  void (*sgd)(const FlatParameters& flat, Output velocity, double momentum, bool nesterov);
  void (*rmsprop)(const FlatParameters& flat, Output velocity, Output mean_square, double rho, double momentum,
                  double eps);
  // `rates` is [parameters] T, the result of lars_rates, which includes rate_factor.
  void (*lars)(const FlatParameters& flat, Output velocity, const Tensor& rates, double momentum);

  // Before adamw: steps[0] += 1, i32 [1], and `factors` = AdamWFactors of this step, [AdamWFactors::places] T.
  void (*adamw_factors)(const FlatParameters& flat, Output steps, double beta1, double beta2, Output factors);
  void (*adamw)(const FlatParameters& flat, Output mean, Output mean_square, const Tensor& factors,
                double beta1, double beta2, double eps);

  // squares[chunk] = {sum of w^2, sum of g^2}, f64 [chunks, 2]. With TrustNorm::combined the second is the sum
  // of (g + decay w)^2.
  void (*squared_norms)(const FlatParameters& flat, TrustNorm norm, Output squares);
  // rates[parameter] = lars_rate of the squares of its chunks, or 1 if the parameter is not adapted; times its
  // rate_factor.
  void (*lars_rates)(const FlatParameters& flat, const Tensor& squares, double eta, TrustNorm norm,
                     Output rates);

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
