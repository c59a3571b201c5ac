#include <kindred/engine/kernels/accumulate.h>
#include <kindred/engine/kernels/select.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/pointwise/kernels.h>
#include <kindred/layers/pointwise/pointwise.h>

namespace kindred {
namespace {

const Operation relu_operation("relu");
const Operation add_operation("add");

}  // namespace

const PointwiseKernels& pointwise_kernels(Device device) {
  return select_kernels("relu", device, pointwise_reference, pointwise_cpu, pointwise_cuda, pointwise_plan);
}

Tensor relu(const Tensor& x) {
  Tensor y = Tensor::empty_like(x);
  pointwise_kernels(x.device()).relu_forward(x, Output(y));

  if (Tape* tape = Tape::recording({&x})) {
    tape->record(relu_operation, {&x}, {&y}, {y}, [](BackwardStep& step) {
      const Tensor& dy = step.output_gradient();
      pointwise_kernels(dy.device()).relu_backward(step.saved<1>()[0], dy, step.input_gradient(0));
    });
  }
  return y;
}

Tensor add(const Tensor& a, const Tensor& b) {
  check(a.dtype() == b.dtype(), ExitCode::internal, "add: the operands are {} and {}; expected one type",
        name(a.dtype()), name(b.dtype()));
  check_same_device(a, b, "add");
  Tensor sum = Tensor::empty_like(a);
  add(a, b, Output(sum));

  if (Tape* tape = Tape::recording({&a, &b})) {
    tape->record(add_operation, {&a, &b}, {&sum}, {}, [](BackwardStep& step) {
      step.pass_gradient(0, step.output_gradient());
      step.pass_gradient(1, step.output_gradient());
    });
  }
  return sum;
}

}  // namespace kindred
