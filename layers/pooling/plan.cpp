// Windows overlap, and the shared pixels come from the cache, so each pixel is counted once.
#include <kindred/engine/kernels/work.h>
#include <kindred/layers/pooling/kernels.h>

namespace kindred {
namespace {

const WorkKind max_kind("max_pool2d"), average_kind("global_average_pool");

void max_forward(const Tensor& x, const Window&, Output y, Output argmax) {
  record_work(max_kind, {.read = bytes_of({x}), .written = bytes_of({y, argmax})});
}

void max_backward(const Tensor& argmax, const Tensor& dy, const Window&, Output dx) {
  record_work(max_kind, {.read = bytes_of({argmax, dy}), .written = bytes_of({dx})});
}

void average_forward(const Tensor& x, Output y) {
  record_work(average_kind, {.read = bytes_of({x}), .written = bytes_of({y})});
}

void average_backward(const Tensor& dy, Output dx) {
  record_work(average_kind, {.read = bytes_of({dy}), .written = bytes_of({dx})});
}

}  // namespace

const PoolingKernels pooling_plan = {max_forward, max_backward, average_forward, average_backward};

}  // namespace kindred
