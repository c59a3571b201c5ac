#include <kindred/engine/kernels/work.h>
#include <kindred/layers/l2_normalize/kernels.h>

namespace kindred {
namespace {

const WorkKind l2_normalize_kind("l2_normalize");

void forward(const Tensor& x, Output y, Output length) {
  record_work(l2_normalize_kind, {.read = bytes_of({x}), .written = bytes_of({y, length})});
}

void backward(const Tensor& y, const Tensor& length, const Tensor& dy, Output dx) {
  record_work(l2_normalize_kind, {.read = bytes_of({y, length, dy}), .written = bytes_of({dx})});
}

}  // namespace

const L2NormalizeKernels l2_normalize_plan = {forward, backward};

}  // namespace kindred
