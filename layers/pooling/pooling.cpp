#include <kindred/engine/kernels/select.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/pooling/kernels.h>
#include <kindred/layers/pooling/pooling.h>

namespace kindred {
namespace {

const Operation max_pool2d_operation("max_pool2d");
const Operation global_average_pool_operation("global_average_pool");

}  // namespace

const PoolingKernels& pooling_kernels(Device device) {
  return select_kernels("pooling", device, pooling_reference, pooling_cpu, pooling_cuda, pooling_plan);
}

Tensor max_pool2d(const Tensor& x, std::int64_t kernel, std::int64_t stride, std::int64_t pad) {
  check(x.shape().rank() == 4, ExitCode::internal, "max_pool2d: x has the shape {}; expected [N, H, W, C]",
        x.shape());
  check(kernel >= 1 && kernel <= 15 && stride >= 1 && pad >= 0 && 2 * pad <= kernel, ExitCode::internal,
        "max_pool2d: kernel {}, stride {}, pad {}; expected a kernel of 1 to 15, a stride of 1 or more and a "
        "pad of at "
        "most half the kernel",
        kernel, stride, pad);
  const std::int64_t room_h = x.dim(1) + 2 * pad - kernel, room_w = x.dim(2) + 2 * pad - kernel;
  check(room_h >= 0 && room_w >= 0, ExitCode::usage,
        "max_pool2d: an image of {} x {} is smaller than the window of {}; use larger images or another stem",
        x.dim(1), x.dim(2), kernel);

  const Window window{kernel, stride, pad};
  const Shape pooled{x.dim(0), room_h / stride + 1, room_w / stride + 1, x.dim(3)};
  Tensor y = Tensor::empty(pooled, x.dtype(), x.device());             // [N, OH, OW, C]
  const Tensor argmax = Tensor::empty(pooled, DType::u8, x.device());  // [N, OH, OW, C]
  pooling_kernels(x.device()).max_forward(x, window, Output(y), Output(argmax));

  if (Tape* tape = Tape::recording({&x})) {
    tape->record(max_pool2d_operation, {&x}, {&y}, {argmax}, [window](BackwardStep& step) {
      const Tensor& dy = step.output_gradient();
      pooling_kernels(dy.device()).max_backward(step.saved<1>()[0], dy, window, step.input_gradient(0));
    });
  }
  return y;
}

Tensor global_average_pool(const Tensor& x) {
  check(x.shape().rank() == 4 && x.dim(1) * x.dim(2) > 0, ExitCode::internal,
        "global_average_pool: x has the shape {}; expected [N, H, W, C] with at least one pixel", x.shape());
  Tensor y = Tensor::empty({x.dim(0), x.dim(3)}, x.dtype(), x.device());  // [N, C]
  pooling_kernels(x.device()).average_forward(x, Output(y));

  if (Tape* tape = Tape::recording({&x})) {
    tape->record(global_average_pool_operation, {&x}, {&y}, {}, [](BackwardStep& step) {
      const Tensor& dy = step.output_gradient();
      pooling_kernels(dy.device()).average_backward(dy, step.input_gradient(0));
    });
  }
  return y;
}

}  // namespace kindred
