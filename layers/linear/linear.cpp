#include <kindred/engine/kernels/select.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/linear/kernels.h>
#include <kindred/layers/linear/linear.h>
#include <kindred/layers/pointwise/kernels.h>

#include <cmath>

namespace kindred {
namespace {

const Operation linear_operation("linear"), linear_relu_operation("linear_relu");

// Checks the shapes and computes y.
Tensor forward(const Tensor& x, const Tensor& weight, const Tensor& bias, bool relu) {
  check(x.shape().rank() == 2 && weight.shape().rank() == 2 && x.dim(1) == weight.dim(1), ExitCode::internal,
        "linear: x has the shape {} and the weight {}; expected [m, in] and [out, in]", x.shape(),
        weight.shape());
  check_same_device(x, weight, "linear");
  if (bias.defined()) check_shape(bias, {weight.dim(0)}, "the bias of linear");
  const Tensor y = Tensor::empty({x.dim(0), weight.dim(0)}, x.dtype(), x.device());  // [m, out]
  linear_kernels(x.device()).forward(x, weight, bias, relu, Output(y));
  return y;
}

// dy[m, out] -> the gradients of x, weight and bias.
void backward(BackwardStep& step, const Tensor& x, const Tensor& weight, const Tensor& dy) {
  const LinearKernels& kernels = linear_kernels(dy.device());
  if (step.wants(0)) kernels.backward_data(dy, weight, step.input_gradient(0));
  const Output db = step.wants(2) ? step.input_gradient(2) : Output();
  if (step.wants(1))
    kernels.backward_weight(x, dy, step.input_gradient(1), db);
  else if (db.defined())
    kernels.backward_bias(dy, db);
}

}  // namespace

const LinearKernels& linear_kernels(Device device) {
  return select_kernels("linear", device, linear_reference, linear_cpu, linear_cuda, linear_plan);
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  Tensor y = forward(x, weight, bias, false);
  if (Tape* tape = Tape::recording({&x, &weight, &bias}))
    tape->record(linear_operation, {&x, &weight, &bias}, {&y}, {x, weight}, [](BackwardStep& step) {
      const auto [input, weights] = step.saved<2>();
      backward(step, input, weights, step.output_gradient());
    });
  return y;
}

Tensor linear_relu(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  Tensor y = forward(x, weight, bias, true);
  if (Tape* tape = Tape::recording({&x, &weight, &bias}))
    tape->record(linear_relu_operation, {&x, &weight, &bias}, {&y}, {x, weight, y}, [](BackwardStep& step) {
      const auto [input, weights, output] = step.saved<3>();
      const Tensor dz = Tensor::empty_like(step.output_gradient());  // the gradient before the ReLU
      pointwise_kernels(dz.device()).relu_backward(output, step.output_gradient(), Output(dz));
      backward(step, input, weights, dz);
    });
  return y;
}

Linear::Linear(ParameterStore& store, const std::string& layer_name, std::int64_t in_features,
               std::int64_t out_features)
    : name(layer_name),
      weight(store.add(name + ".weight", {out_features, in_features}, ParameterKind::weight,
                       uniform_init(1.0f / std::sqrt(static_cast<float>(in_features))))),
      bias(store.add(name + ".bias", {out_features}, ParameterKind::bias,
                     uniform_init(1.0f / std::sqrt(static_cast<float>(in_features))))) {}

Tensor Linear::operator()(const Tensor& x) const {
  const TapeLabel label(name);
  return linear(x, weight.as(x.dtype()), bias.value);
}

Tensor Linear::with_relu(const Tensor& x) const {
  const TapeLabel label(name);
  return linear_relu(x, weight.as(x.dtype()), bias.value);
}

}  // namespace kindred
