#include <kindred/engine/kernels/work.h>
#include <kindred/layers/pointwise/kernels.h>

namespace kindred {
namespace {

const WorkKind relu_kind("relu");

void relu_forward(const Tensor& x, Output y) {
  record_work(relu_kind, {.read = bytes_of({x}), .written = bytes_of({y})});
}

void relu_backward(const Tensor& y, const Tensor& dy, Output dx) {
  record_work(relu_kind, {.read = bytes_of({y, dy}), .written = bytes_of({dx})});
}

}  // namespace

const PointwiseKernels pointwise_plan = {relu_forward, relu_backward};

}  // namespace kindred
