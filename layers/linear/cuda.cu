// Linear layers by cuBLASLt, with the bias and its gradient in its epilogues. If it has no algorithm for a
// shape, by the plain kernels.
//
// The ReLU is a separate kernel after the product. cuBLASLt also has a ReLU epilogue, a maximum with zero, but
// NVIDIA does not document what it does with a NaN. A GPU's maximum turns a NaN into zero, and then the error
// would never be found. For 256 views and ResNet-50's head the kernel moves 2 MB: about 3 microseconds with its
// launch, in a step that is predicted to take 39 milliseconds.
#include <kindred/layers/linear/cuda_plain.h>
#include <kindred/layers/pointwise/kernels.h>
#include <kindred/third_party/cublaslt/cublaslt.h>

namespace kindred {
namespace {

using cublaslt::Epilogue;
using cublaslt::ProductKey;

void forward(const Tensor& x, const Tensor& w, const Tensor& bias, bool relu, Output y) {
  // The epilogue adds a bias of the result's type. The rounding of the bias is no larger than that of the
  // result itself.
  const Tensor vector = !bias.defined() || bias.dtype() == y.dtype() ? bias : bias.to(Device::cuda, y.dtype());
  const Epilogue epilogue = bias.defined() ? Epilogue::bias : Epilogue::none;
  const ProductKey key{x.dtype(), y.dtype(), false, true, epilogue, x.dim(0), w.dim(0), x.dim(1)};
  if (!cublaslt::multiply(key, x.raw(), w.raw(), y.raw(), vector.raw()))
    cuda::linear_plain.forward(x, w, bias, relu, y);
  else if (relu)
    pointwise_cuda->relu_forward(y, y);
}

void backward_data(const Tensor& dy, const Tensor& w, Output dx) {
  const ProductKey key{dy.dtype(), dx.dtype(), false, false, Epilogue::none, dy.dim(0), w.dim(1), w.dim(0)};
  if (!cublaslt::multiply(key, dy.raw(), w.raw(), dx.raw())) cuda::linear_plain.backward_data(dy, w, dx);
}

void backward_weight(const Tensor& x, const Tensor& dy, Output dw, Output db) {
  ProductKey key{x.dtype(), dw.dtype(), true, false, Epilogue::row_sums_of_a, dy.dim(1), x.dim(1), x.dim(0)};
  if (db.defined() && cublaslt::multiply(key, dy.raw(), x.raw(), dw.raw(), db.raw())) return;
  key.epilogue = Epilogue::none;
  if (!cublaslt::multiply(key, dy.raw(), x.raw(), dw.raw())) {
    cuda::linear_plain.backward_weight(x, dy, dw, db);
  } else if (db.defined()) {
    cuda::linear_plain.backward_bias(dy, db);
  }
}

const LinearKernels kernels = {forward, backward_data, backward_weight, cuda::linear_plain.backward_bias};

}  // namespace

const LinearKernels* const linear_cuda = &kernels;

}  // namespace kindred
