// cuDNN has no emulation, so the GPU's own plain kernels replace it. As cuDNN does, they write gradients of filters in 16
// bits and with padded channels where the caller converts them.
#include <kindred/engine/cuda/elements.h>
#include <kindred/layers/conv2d/cuda_plain.h>
#include <kindred/layers/conv2d/product/product.h>

namespace kindred {
namespace {

Tensor narrow_backward_weight(const ConvShape& shape, const Tensor& x, const Tensor& dy) {
  const std::int64_t width = channels_on_cuda(shape.c, x.dtype());
  if (x.dtype() == DType::f32 || x.dim(3) != width) return {};
  ConvShape padded = shape;
  padded.c = width;
  const Tensor dw = Tensor::empty({shape.k, shape.kh, shape.kw, width}, x.dtype(), x.device());
  cuda::conv2d_plain.backward_weight(padded, x, dy, Output(dw));
  return dw;
}

void forward(const ConvShape& s, const Tensor& x, const Tensor& w, Output y) {
  if (!convolved_by_product(s, x, w, y)) cuda::conv2d_plain.forward(s, x, w, y);
}

const Conv2dKernels kernels = {forward, cuda::conv2d_plain.backward_data, cuda::conv2d_plain.backward_weight,
                               narrow_backward_weight, cuda::widen};

}  // namespace

const Conv2dKernels* const conv2d_cuda = &kernels;

}  // namespace kindred
