// The optimizers: SGD, LARS, RMSProp and AdamW over all parameters of a store at once. Formulas: update_rules.h and
// adamw.h.
//
//   Optimizer optimizer(store, SgdOptions{.momentum = 0.9, .weight_decay = 1e-4});
//   for each step k:
//     ... backward pass ...
//     optimizer.set_learning_rate(schedule.at(k));
//     optimizer.step();
//
// A step is a constant number of kernels, however many parameters there are, and the host reads no result. The
// step also updates the low-precision copy of the values.
//
// A gradient that is not finite sets a flag, and the flag stays set: that step and all following steps leave
// values and state unchanged. The training loop calls non_finite() when it next reads the loss, and stops.
#pragma once

#include <kindred/engine/optimizer/flat_parameters.h>
#include <kindred/engine/optimizer/update_rules.h>
#include <kindred/engine/parameters.h>

#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace kindred {

// "Exempt" parameters are the scales and shifts of normalization and all biases: every parameter whose
// ParameterKind is not weight, or that has fewer than two axes.
bool is_exempt(const Parameter& parameter);

struct SgdOptions {
  double momentum = 0.9;  // in [0, 1)
  bool nesterov = false;
  double weight_decay = 0;
  bool decay_normalization_and_biases = true;
};

struct LarsOptions {
  double momentum = 0.9;
  double eta = 0.001;  // the trust coefficient
  double weight_decay = 0;
  TrustNorm trust_norm = TrustNorm::separate;
  bool adapt_normalization_and_biases = false;  // if false, they have no weight decay and no rate of their own
};

struct RmsPropOptions {
  double rho = 0.9;
  double momentum = 0.9;
  double eps = 0.001;
  double weight_decay = 0;
  bool decay_normalization_and_biases = true;
  double initial_mean_square = 1;  // as TensorFlow 1; Keras and PyTorch start at 0
};

// PyTorch's defaults.
struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;
  bool decay_normalization_and_biases = true;
};

using OptimizerOptions = std::variant<SgdOptions, LarsOptions, RmsPropOptions, AdamWOptions>;

// What the learning rate of a parameter is multiplied by. 0 freezes the parameter: neither its value nor its state
// changes, whatever the gradient and the weight decay are.
using RateFactor = std::function<double(const Parameter&)>;

struct LossScaleFigures {
  double scale = 1;
  std::int64_t skipped_steps = 0;  // since the start of the run
};

class Optimizer {
 public:
  // The store must be allocated already and must outlive this object. Without `rate_factor` all factors are 1.
  // Throws Error(usage) for options and factors outside their range.
  Optimizer(ParameterStore& store, const OptimizerOptions& options, const RateFactor& rate_factor = {});
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // Zero until set.
  void set_learning_rate(double learning_rate);
  void set_learning_rate(const Tensor& learning_rate);  // f32 [1] on the device: part of a recorded step
  void step();

  // From now on the gradients belong to loss_scale() * loss, and the scale follows LossScaleRule
  // (update_rules.h). A step whose gradients overflow is skipped, and sets no flag while a smaller scale may
  // help.
  void scale_loss();
  // The cotangent to start the backward pass with: shape [], the masters' type, on their device. Undefined if
  // the loss is not scaled.
  Tensor loss_scale() const;
  LossScaleFigures loss_scale_figures() const;  // waits for the device

  // Sets the flag if the loss is not finite, so that no update is made from it.
  void watch_loss(const Tensor& loss);

  enum NonFinite : std::int32_t { none = 0, gradient = 1, loss = 2 };  // bits
  // What was not finite since the start or since clear_non_finite(). Waits for the device.
  std::int32_t non_finite() const;
  void clear_non_finite();
  const Tensor& non_finite_flag() const { return flat_.non_finite; }  // i32 [1], for callers that read it later

  // What a checkpoint must hold in addition to the parameters: "optimizer.momentum.<parameter>", for RMSProp and
  // AdamW "optimizer.mean_square.<parameter>", for AdamW "optimizer.steps", and "optimizer.loss_scale" if the loss
  // is scaled. The tensors are windows on the live state, in the parameter's shape: write to them to resume.
  std::vector<std::pair<std::string, Tensor>> state() const;

 private:
  ParameterStore& store_;
  OptimizerOptions options_;
  FlatParameters flat_;
  Tensor velocity_;     // [elements]; AdamW: the mean of the gradients; undefined for SGD without momentum
  Tensor mean_square_;  // [elements]; RMSProp and AdamW
  Tensor steps_;        // i32 [1], updates so far; AdamW only
  Tensor factors_;      // AdamWFactors of the last step; AdamW only
  Tensor squares_;      // f64 [chunks, 2]; LARS only
  Tensor rates_;        // [parameters]; LARS only
};

// The name of the first parameter whose gradient is not finite, or "". Computed on the host, for the message
// that ends a run.
std::string first_non_finite(const ParameterStore& store);

}  // namespace kindred
