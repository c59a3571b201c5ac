#include <kindred/engine/kernels/dispatch.h>
#include <kindred/layers/pointwise/kernels.h>

namespace kindred {
namespace {

template <typename T>
void relu_forward(const Tensor& x, Output y) {
  for (std::int64_t i = 0; i < x.numel(); ++i) y.data<T>()[i] = x.data<T>()[i] < 0 ? T{0} : x.data<T>()[i];
}

template <typename T>
void relu_backward(const Tensor& y, const Tensor& dy, Output dx) {
  for (std::int64_t i = 0; i < y.numel(); ++i) dx.data<T>()[i] = y.data<T>()[i] > 0 ? dy.data<T>()[i] : T{0};
}

}  // namespace

const PointwiseKernels pointwise_reference = {
    [](const Tensor& x, Output y) {
      dispatch_reference("relu", x.dtype(), [&]<typename T>(T) { relu_forward<T>(x, y); });
    },
    [](const Tensor& y, const Tensor& dy, Output dx) {
      dispatch_reference("relu", y.dtype(), [&]<typename T>(T) { relu_backward<T>(y, dy, dx); });
    },
};

}  // namespace kindred
