// Each function is one product of cuBLASLt, with the bias, the ReLU and the bias gradient in its epilogues.
#include <kindred/engine/kernels/work.h>
#include <kindred/layers/linear/kernels.h>

namespace kindred {
namespace {

const WorkKind forward_kind("linear.forward"), data_kind("linear.data"), weight_kind("linear.weight"),
    bias_kind("linear.bias");

// x[m, in] and w[out, in].
double operations(const Tensor& x, std::int64_t out) {
  return 2.0 * static_cast<double>(x.numel()) * static_cast<double>(out);
}

void forward(const Tensor& x, const Tensor& w, const Tensor& bias, bool, Output y) {
  if (bias.defined() && bias.dtype() != y.dtype())  // the epilogue adds a value of y's type
    record_work(bias_kind, {.read = bytes_of({bias}), .written = bytes_of({bias})});
  record_work(forward_kind, {.read = bytes_of({x, w, bias}),
                             .written = bytes_of({y}),
                             .operations = operations(x, w.dim(0)),
                             .factors = x.dtype()});
}

void backward_data(const Tensor& dy, const Tensor& w, Output dx) {
  record_work(data_kind, {.read = bytes_of({dy, w}),
                          .written = bytes_of({dx}),
                          .operations = operations(dx, dy.dim(1)),
                          .factors = dy.dtype()});
}

void backward_weight(const Tensor& x, const Tensor& dy, Output dw, Output db) {
  record_work(weight_kind, {.read = bytes_of({x, dy}),
                            .written = bytes_of({dw, db}),
                            .operations = operations(x, dy.dim(1)),
                            .factors = dy.dtype()});
}

void backward_bias(const Tensor& dy, Output db) {
  record_work(bias_kind, {.read = bytes_of({dy}), .written = bytes_of({db})});
}

}  // namespace

const LinearKernels linear_plan = {forward, backward_data, backward_weight, backward_bias};

}  // namespace kindred
