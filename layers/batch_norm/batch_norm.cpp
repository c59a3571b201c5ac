#include <kindred/engine/kernels.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/batch_norm/batch_norm.h>
#include <kindred/layers/batch_norm/kernels.h>

namespace kindred {
namespace {

const Operation batch_norm_operation("batch_norm");

void check_arguments(const BatchNormArguments& a) {
  check(a.x.shape().rank() >= 2, ExitCode::internal, "batch_norm: x has the shape {}; expected [n, h, w, c]",
        a.x.shape().to_string());
  const Shape channels{a.x.shape().back()};
  check_shape(a.scale, channels, "the scale of batch_norm");
  check_shape(a.bias, channels, "the bias of batch_norm");
  if (a.residual.defined()) check_shape(a.residual, a.x.shape(), "the residual of batch_norm");
  if (a.mode == Mode::evaluate || a.running_mean.defined()) {
    check_shape(a.running_mean, channels, "the running mean of batch_norm");
    check_shape(a.running_variance, channels, "the running variance of batch_norm");
  }
}

}  // namespace

const BatchNormKernels& batch_norm_kernels(Device device) {
  static constexpr BatchNormKernels plan = {no_operation, no_operation, no_operation, no_operation,
                                            no_operation};
  return select_kernels("batch_norm", device, batch_norm_reference, batch_norm_cpu, batch_norm_cuda, plan);
}

Tensor batch_norm(const BatchNormArguments& a) {
  check_arguments(a);
  const BatchNormKernels& kernels = batch_norm_kernels(a.x.device());
  const std::int64_t channels = a.x.shape().back(), rows = a.x.numel() / channels;
  const bool training = a.mode == Mode::train;
  check(!training || rows > 1, ExitCode::usage,
        "batch norm in training needs more than one value per channel; use a larger --batch-size or "
        "--image-size");

  Tensor mean = a.running_mean, variance = a.running_variance;  // [c]
  const Tensor inv_std = Tensor::empty_like(a.scale);           // [c]
  if (training) {
    mean = Tensor::empty_like(a.scale);
    variance = Tensor::empty_like(a.scale);
    kernels.statistics(a.x, mean, variance);
    kernels.finish_statistics(mean, variance, batch_norm_epsilon, batch_norm_momentum, rows, inv_std,
                              a.running_mean, a.running_variance);
  } else {
    kernels.finish_statistics(mean, variance, batch_norm_epsilon, 0, rows, inv_std, Tensor(), Tensor());
  }

  Tape* tape = Tape::recording({&a.x, &a.scale, &a.bias, &a.residual});
  Tensor mask;  // one bit an element: which of them the ReLU let pass
  if (tape && a.relu) mask = Tensor::empty({mask_bytes(a.x.numel())}, DType::u8, a.x.device());
  Tensor y = Tensor::empty_like(a.x);
  kernels.apply(a.x, mean, inv_std, a.scale, a.bias, a.residual, a.relu, mask, y);

  if (tape) {
    const std::int64_t count = training ? rows : 0;  // 0: the statistics do not depend on x
    tape->record(batch_norm_operation, {&a.x, &a.scale, &a.bias, &a.residual}, {&y},
                 {a.x, mean, inv_std, a.scale, mask}, [count](BackwardStep& step) {
                   const Tensor& dy = step.output_gradient();
                   const Tensor &x = step.saved(0), &mean_ = step.saved(1), &inv_std_ = step.saved(2),
                                &scale = step.saved(3), &mask_ = step.saved(4);
                   const BatchNormKernels& table = batch_norm_kernels(dy.device());
                   const Tensor d_scale = step.wants(1) ? step.input_gradient(1) : Tensor::empty_like(scale);
                   const Tensor d_bias = step.wants(2) ? step.input_gradient(2) : Tensor::empty_like(scale);
                   table.reduce(dy, mask_, x, mean_, inv_std_, d_scale, d_bias);
                   const Tensor dx = step.wants(0) ? step.input_gradient(0) : Tensor();
                   Tensor d_residual;
                   if (step.wants(3)) {
                     if (mask_.defined())
                       d_residual = step.input_gradient(3);
                     else
                       step.pass_gradient(3, dy);
                   }
                   table.apply_backward(dy, mask_, x, mean_, inv_std_, scale, d_scale, d_bias, count, dx,
                                        d_residual);
                 });
  }
  return y;
}

BatchNorm::BatchNorm(ParameterStore& store, const std::string& layer_name, std::int64_t channels)
    : name(layer_name),
      weight(store.add(name + ".weight", {channels}, ParameterKind::normalization, constant_init(1))),
      bias(store.add(name + ".bias", {channels}, ParameterKind::normalization, constant_init(0))),
      running_mean(store.add_buffer(name + ".running_mean", {channels}, 0)),
      running_var(store.add_buffer(name + ".running_var", {channels}, 1)) {}

Tensor BatchNorm::run(const Tensor& x, const Tensor& residual, bool relu, Mode mode) const {
  const TapeLabel label(name);
  return batch_norm({x, weight.value, bias.value, residual, relu, mode, running_mean.value, running_var.value});
}

Tensor BatchNorm::operator()(const Tensor& x, Mode mode) const {
  return run(x, Tensor(), false, mode);
}
Tensor BatchNorm::with_relu(const Tensor& x, Mode mode) const {
  return run(x, Tensor(), true, mode);
}
Tensor BatchNorm::with_residual_and_relu(const Tensor& x, const Tensor& residual, Mode mode) const {
  return run(x, residual, true, mode);
}

}  // namespace kindred
