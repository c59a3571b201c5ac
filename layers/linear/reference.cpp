#include <kindred/engine/kernels/dispatch.h>
#include <kindred/layers/linear/kernels.h>

namespace kindred {
namespace {

template <typename T>
void forward(const Tensor& x, const Tensor& w, const Tensor& bias, bool relu, Output y) {
  const std::int64_t rows = x.dim(0), in = x.dim(1), out = w.dim(0);
  for (std::int64_t m = 0; m < rows; ++m)
    for (std::int64_t o = 0; o < out; ++o) {
      T sum = bias.defined() ? bias.data<T>()[o] : T{0};
      for (std::int64_t i = 0; i < in; ++i) sum += x.data<T>()[m * in + i] * w.data<T>()[o * in + i];
      y.data<T>()[m * out + o] = relu && sum < 0 ? T{0} : sum;
    }
}

template <typename T>
void backward_data(const Tensor& dy, const Tensor& w, Output dx) {
  const std::int64_t rows = dy.dim(0), out = w.dim(0), in = w.dim(1);
  for (std::int64_t m = 0; m < rows; ++m)
    for (std::int64_t i = 0; i < in; ++i) {
      T sum = 0;
      for (std::int64_t o = 0; o < out; ++o) sum += dy.data<T>()[m * out + o] * w.data<T>()[o * in + i];
      dx.data<T>()[m * in + i] = sum;
    }
}

template <typename T>
void backward_weight(const Tensor& x, const Tensor& dy, const Tensor& dw) {
  const std::int64_t rows = x.dim(0), in = x.dim(1), out = dy.dim(1);
  for (std::int64_t o = 0; o < out; ++o)
    for (std::int64_t i = 0; i < in; ++i) {
      T sum = 0;
      for (std::int64_t m = 0; m < rows; ++m) sum += dy.data<T>()[m * out + o] * x.data<T>()[m * in + i];
      dw.data<T>()[o * in + i] = sum;
    }
}

template <typename T>
void backward_bias(const Tensor& dy, Output db) {
  const std::int64_t rows = dy.dim(0), out = dy.dim(1);
  for (std::int64_t o = 0; o < out; ++o) {
    T sum = 0;
    for (std::int64_t m = 0; m < rows; ++m) sum += dy.data<T>()[m * out + o];
    db.data<T>()[o] = sum;
  }
}

}  // namespace

const LinearKernels linear_reference = {
    [](const Tensor& x, const Tensor& w, const Tensor& bias, bool relu, Output y) {
      dispatch_reference("linear", x.dtype(), [&]<typename T>(T) { forward<T>(x, w, bias, relu, y); });
    },
    [](const Tensor& dy, const Tensor& w, Output dx) {
      dispatch_reference("linear", dy.dtype(), [&]<typename T>(T) { backward_data<T>(dy, w, dx); });
    },
    [](const Tensor& x, const Tensor& dy, Output dw, Output db) {
      dispatch_reference("linear", x.dtype(), [&]<typename T>(T) {
        backward_weight<T>(x, dy, dw);
        if (db.defined()) backward_bias<T>(dy, db);
      });
    },
    [](const Tensor& dy, Output db) {
      dispatch_reference("linear", dy.dtype(), [&]<typename T>(T) { backward_bias<T>(dy, db); });
    },
};

}  // namespace kindred
