#include <kindred/engine/kernels/select.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/l2_normalize/kernels.h>
#include <kindred/layers/l2_normalize/l2_normalize.h>

namespace kindred {
namespace {

const Operation l2_normalize_operation("l2_normalize");

}  // namespace

const L2NormalizeKernels& l2_normalize_kernels(Device device) {
  return select_kernels("l2_normalize", device, l2_normalize_reference, l2_normalize_cpu, l2_normalize_cuda,
                        l2_normalize_plan);
}

Tensor l2_normalize(const Tensor& x) {
  check(x.shape().rank() == 2, ExitCode::internal, "l2_normalize: x has the shape {}; expected [rows, dim]",
        x.shape());
  const DType dtype = x.dtype() == DType::f64 ? DType::f64 : DType::f32;
  Tensor y = Tensor::empty(x.shape(), dtype, x.device());              // [M, D]
  const Tensor length = Tensor::empty({x.dim(0)}, dtype, x.device());  // [M]
  l2_normalize_kernels(x.device()).forward(x, Output(y), Output(length));

  if (Tape* tape = Tape::recording({&x})) {
    tape->record(l2_normalize_operation, {&x}, {&y}, {y, length}, [](BackwardStep& step) {
      const auto [y_, length_] = step.saved<2>();
      const Tensor& dy = step.output_gradient();
      l2_normalize_kernels(dy.device()).backward(y_, length_, dy, step.input_gradient(0));
    });
  }
  return y;
}

}  // namespace kindred
