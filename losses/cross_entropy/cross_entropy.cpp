#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/kernels/select.h>
#include <kindred/engine/tape.h>
#include <kindred/losses/cross_entropy/cross_entropy.h>
#include <kindred/losses/cross_entropy/kernels.h>

#include <algorithm>
#include <cmath>

namespace kindred {
namespace {

const Operation cross_entropy_operation("cross_entropy");

void check_labels(const Tensor& labels, std::int64_t classes) {
  if (!is_host(labels.device())) return;
  const std::int32_t* label = labels.data<std::int32_t>();
  for (std::int64_t row = 0; row < labels.numel(); ++row)
    check(label[row] >= 0 && label[row] < classes, ExitCode::data,
          "cross_entropy: row {} has the label {}, but there are {} classes, 0 to {}", row, label[row], classes,
          classes - 1);
}

}  // namespace

const CrossEntropyKernels& cross_entropy_kernels(Device device) {
  return select_kernels("cross_entropy", device, cross_entropy_reference, cross_entropy_cpu, cross_entropy_cuda,
                        cross_entropy_plan);
}

Tensor cross_entropy(const Tensor& logits, const Tensor& labels, float smoothing) {
  return cross_entropy_shared(Communicator(), logits, labels, smoothing);
}

Tensor cross_entropy_shared(const Communicator& processes, const Tensor& logits, const Tensor& labels,
                            float smoothing) {
  check(logits.shape().rank() == 2 && logits.numel() > 0, ExitCode::internal,
        "cross_entropy: the logits have the shape {}; expected [rows, classes]", logits.shape());
  check(labels.dtype() == DType::i32, ExitCode::internal, "cross_entropy: the labels are {}; expected i32",
        name(labels.dtype()));
  check_shape(labels, {logits.dim(0)}, "the labels of cross_entropy");
  check_same_device(logits, labels, "cross_entropy");
  check(smoothing >= 0 && smoothing < 1, ExitCode::usage,
        "cross_entropy: the label smoothing is {}; it must be at least 0 and less than 1", smoothing);
  check_labels(labels, logits.dim(1));

  const DType dtype = logits.dtype() == DType::f64 ? DType::f64 : DType::f32;
  const Tensor lse = Tensor::empty({logits.dim(0)}, dtype, logits.device());  // [N]
  Tensor loss = Tensor::empty({}, dtype, logits.device());
  const std::int64_t mean_rows = processes.size() * logits.dim(0);
  cross_entropy_kernels(logits.device())
      .forward(logits, labels, smoothing, mean_rows, Output(lse), Output(loss));
  processes.all_reduce(Output(loss));

  if (Tape* tape = Tape::recording({&logits})) {
    tape->record(cross_entropy_operation, {&logits}, {&loss}, {logits, labels, lse},
                 [smoothing, mean_rows](BackwardStep& step) {
                   const auto [logits_, labels_, lse_] = step.saved<3>();
                   const Tensor& upstream = step.output_gradient();
                   cross_entropy_kernels(upstream.device())
                       .backward(logits_, labels_, smoothing, mean_rows, lse_, upstream,
                                 step.input_gradient(0));
                 });
  }
  return loss;
}

double cross_entropy_collapse_value(int classes) {
  return std::log(static_cast<double>(std::max(classes, 1)));
}

}  // namespace kindred
