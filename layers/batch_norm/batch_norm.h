// Batch normalization (Ioffe and Szegedy 2015, arXiv 1502.03167) with an optional residual and ReLU
// in the same op:
//
//   y = relu?( (x - mean) / sqrt(variance + epsilon) * scale + bias + residual? )
//
// They are fused because residual and ReLU alone would cost two more passes through memory for almost no
// arithmetic. In training, mean and variance are computed over the batch, over all images and pixels; over the
// batches of several processes while there is a SharedStatistics (shared_statistics.h). In evaluation they are
// the running statistics.
#pragma once

#include <kindred/engine/parameters.h>

#include <string>

namespace kindred {

// The defaults of torch.nn.BatchNorm2d.
inline constexpr double batch_norm_epsilon = 1e-5;
inline constexpr double batch_norm_momentum = 0.1;

// How a network runs. In training, batch norms use the statistics of the batch, and their running statistics
// move towards these: running = (1 - momentum) running + momentum batch. In evaluation they use the running
// statistics.
struct Mode {
  bool is_training;
  double momentum;  // of the running statistics; 0 leaves them as they are

  static const Mode train, evaluate;
  static constexpr Mode train_with(double momentum) { return {true, momentum}; }
  bool operator==(const Mode&) const = default;
};
inline constexpr Mode Mode::train{true, batch_norm_momentum}, Mode::evaluate{false, 0};

struct BatchNormArguments {
  Tensor x;              // [n, h, w, c]
  Tensor scale;          // [c], f32 (f64 if x is f64)
  Tensor bias;           // [c]
  Tensor residual = {};  // [n, h, w, c], added before the ReLU; may be undefined
  bool relu = false;
  Mode mode = Mode::train;
  Tensor running_mean = {};      // [c]; updated in training if defined, read in evaluation
  Tensor running_variance = {};  // [c]; unbiased
};

// Gradients flow to x, scale, bias and residual. Throws Error(usage) in training if there is only one value per
// channel.
Tensor batch_norm(const BatchNormArguments& arguments);

struct BatchNorm {
  BatchNorm(ParameterStore& store, const std::string& name, std::int64_t channels);

  Tensor operator()(const Tensor& x, Mode mode) const;
  Tensor with_relu(const Tensor& x, Mode mode) const;
  Tensor with_residual_and_relu(const Tensor& x, const Tensor& residual, Mode mode) const;

  std::string name;
  Parameter& weight;     // [c], the scale; starts at 1
  Parameter& bias;       // [c]; starts at 0
  Buffer& running_mean;  // [c]
  Buffer& running_var;   // [c]

 private:
  Tensor run(const Tensor& x, const Tensor& residual, bool relu, Mode mode) const;
};

}  // namespace kindred
