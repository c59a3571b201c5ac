#include <kindred/engine/kernels.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/linear/kernels.h>
#include <kindred/layers/linear/linear.h>

#include <cmath>

namespace kindred {
namespace {

const Operation linear_operation("linear");

}  // namespace

const LinearKernels& linear_kernels(Device device) {
  static constexpr LinearKernels plan = {no_operation, no_operation, no_operation, no_operation};
  return select_kernels("linear", device, linear_reference, linear_cpu, linear_cuda, plan);
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  check(x.shape().rank() == 2 && weight.shape().rank() == 2 && x.dim(1) == weight.dim(1), ExitCode::internal,
        "linear: x has the shape {} and the weight {}; expected [m, in] and [out, in]", x.shape().to_string(),
        weight.shape().to_string());
  check_same_device(x, weight, "linear");
  if (bias.defined()) check_shape(bias, {weight.dim(0)}, "the bias of linear");

  Tensor y = Tensor::empty({x.dim(0), weight.dim(0)}, x.dtype(), x.device());  // [m, out]
  linear_kernels(x.device()).forward(x, weight, bias, y);

  if (Tape* tape = Tape::recording({&x, &weight, &bias})) {
    tape->record(linear_operation, {&x, &weight, &bias}, {&y}, {x, weight}, [](BackwardStep& step) {
      const Tensor& dy = step.output_gradient();
      const LinearKernels& kernels = linear_kernels(dy.device());
      if (step.wants(0)) kernels.backward_data(dy, step.saved(1), step.input_gradient(0));
      if (step.wants(1)) kernels.backward_weight(step.saved(0), dy, step.input_gradient(1));
      if (step.wants(2)) kernels.backward_bias(dy, step.input_gradient(2));
    });
  }
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

}  // namespace kindred
