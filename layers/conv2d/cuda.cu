// Convolutions by cuDNN 9, each with the fastest plan for its shape; without a plan, by the plain kernels.
//
// In 16 bits cuDNN is given numbers of channels that are multiples of 8 (channels_on_cuda). Images come with that many
// (normalize_images). The stem's filters, and other tensors with such channels, are zero-padded in copies that exist
// during the call.
#include <kindred/engine/cuda/elements.h>
#include <kindred/engine/cuda/packs.h>
#include <kindred/engine/kernels/accumulate.h>
#include <kindred/layers/conv2d/cuda_plain.h>
#include <kindred/layers/conv2d/product/product.h>
#include <kindred/third_party/alignment.h>
#include <kindred/third_party/cudnn/convolution.h>

#include <cstdio>
#include <set>

namespace kindred {
namespace {

using cudnn::ConvolutionKey;

constexpr int threads = 256;

// to[row, width] = from[row, channels], followed by zeros. A thread writes one pack; `packs` is the number of them in a
// row.
template <typename T>
__global__ void pad_kernel(const T* from, T* to, std::int64_t rows, int channels, int packs) {
  constexpr int pack = cuda::pack_width<T>;
  const std::int64_t at = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (at >= rows * packs) return;
  const std::int64_t row = packs == 1 ? at : at / packs;
  const int first = static_cast<int>(at - row * packs) * pack;
  cuda::Pack<T, pack> values;
#pragma unroll
  for (int k = 0; k < pack; ++k)
    values.element[k] = first + k < channels ? from[row * channels + first + k] : T(0.0f);
  cuda::store(to + at * pack, values);
}

// `tensor` with its last axis padded to `width`, or the tensor itself.
Tensor padded(const Tensor& tensor, std::int64_t width) {
  if (tensor.shape().back() == width) return tensor;
  const Shape& s = tensor.shape();
  const Tensor copy = Tensor::empty({s[0], s[1], s[2], width}, tensor.dtype(), Device::cuda);
  cuda::dispatch_cuda("conv2d", tensor.dtype(), [&]<typename T>(T) {
    const std::int64_t rows = s[0] * s[1] * s[2], packs = width / cuda::pack_width<T>;
    cuda::launch(pad_kernel<T>, cuda::blocks_for(rows * packs, threads), threads, tensor.data<T>(),
                 copy.data<T>(), rows, s.back(), packs);
  });
  return copy;
}

// The address at which cuDNN will read `tensor`; null if that is in a padded copy, which is aligned.
const void* address(const Tensor& tensor, std::int64_t width) {
  return tensor.defined() && tensor.shape().back() == width ? tensor.raw() : nullptr;
}

// cuDNN's engines rely on the alignment that a plan was made for. In f32 a window on rows of images of odd size
// may start at any element, so only the alignment of an element is promised then.
ConvolutionKey key_of(ConvPass pass, const ConvShape& s, DType dtype, DType weight_dtype, bool with_addend,
                      std::initializer_list<const void*> addresses) {
  const int alignment = promised_alignment(addresses, size_of(dtype));
  ConvShape padded_shape = s;
  padded_shape.c = channels_on_cuda(s.c, dtype);
  return {pass, dtype, weight_dtype, padded_shape, with_addend, alignment};
}

// Printed once for each shape, so that the user knows why it is slow.
void say_fallback(const ConvolutionKey& key) {
  static std::set<ConvolutionKey> said;
  if (!said.insert(key).second) return;
  std::fprintf(stderr, "note: cuDNN has no engine for %s; a plain kernel runs instead\n",
               key.to_string().c_str());
}

void forward(const ConvShape& s, const Tensor& x, const Tensor& w, Output y) {
  if (convolved_by_product(s, x, w, y)) return;  // only where KINDRED_PRODUCT is set and it was timed faster
  const std::int64_t width = channels_on_cuda(s.c, x.dtype());
  const ConvolutionKey key = key_of(ConvPass::forward, s, x.dtype(), w.dtype(), false,
                                    {address(x, width), address(w, width), y.raw()});
  if (const cudnn::Plan* plan = cudnn::plan_for(key)) {
    const Tensor wide_x = padded(x, key.shape.c), wide_w = padded(w, key.shape.c);
    return cudnn::run(*plan, {{0, wide_x.raw()}, {1, wide_w.raw()}, {2, y.raw()}});
  }
  say_fallback(key);
  cuda::conv2d_plain.forward(s, x, w, y);
}

void backward_data(const ConvShape& s, const Tensor& dy, const Tensor& w, const Tensor& addend, Output dx) {
  // The addition is done in the epilogue if cuDNN has an engine for it, and afterwards otherwise.
  const std::int64_t width = channels_on_cuda(s.c, dy.dtype());
  const auto key_with = [&](bool with_addend, const Tensor& result) {
    return key_of(ConvPass::backward_data, s, dy.dtype(), w.dtype(), with_addend,
                  {dy.raw(), address(w, width), result.raw(), with_addend ? addend.raw() : nullptr});
  };
  if (dx.dim(3) == width) {
    // The addend may be dx itself. Then the gradient is computed into a separate tensor.
    const bool in_place = addend.defined() && addend.raw() == dx.raw();
    if (addend.defined() && !in_place) {
      const cudnn::Plan* fused = cudnn::plan_for(key_with(true, dx));
      if (fused != nullptr) {
        const Tensor wide_w = padded(w, width);
        return cudnn::run(*fused, {{0, dx.raw()}, {1, wide_w.raw()}, {2, dy.raw()}, {3, addend.raw()}});
      }
    }
    const Tensor gradient = in_place ? Tensor::empty_like(dx) : dx;
    const ConvolutionKey key = key_with(false, gradient);
    if (const cudnn::Plan* plan = cudnn::plan_for(key)) {
      const Tensor wide_w = padded(w, width);
      cudnn::run(*plan, {{0, gradient.raw()}, {1, wide_w.raw()}, {2, dy.raw()}});
      if (addend.defined()) add(gradient, addend, dx);
      return;
    }
    say_fallback(key);
  }
  cuda::conv2d_plain.backward_data(s, dy, w, addend, dx);
}

// The gradient in this type, as an engine writes it: with padded channels, to `dw` if that is what dw is to be, and else
// to a new tensor. Undefined without an engine.
Tensor written_by_engine(const ConvShape& s, const Tensor& x, const Tensor& dy, DType dtype, const Tensor& dw) {
  const std::int64_t width = channels_on_cuda(s.c, x.dtype());
  const bool directly = dw.defined() && width == s.c && dtype == dw.dtype();
  const ConvolutionKey key = key_of(ConvPass::backward_weight, s, x.dtype(), dtype, false,
                                    {address(x, width), dy.raw(), directly ? dw.raw() : nullptr});
  const cudnn::Plan* plan = cudnn::plan_for(key);
  if (plan == nullptr) return {};
  const Tensor wide_x = padded(x, width);
  Tensor written = directly ? dw : Tensor::empty({s.k, s.kh, s.kw, width}, dtype, Device::cuda);
  cudnn::run(*plan, {{0, wide_x.raw()}, {1, written.raw()}, {2, dy.raw()}});
  return written;
}

// In f32 if an engine can write that.
void backward_weight(const ConvShape& s, const Tensor& x, const Tensor& dy, Output dw) {
  for (const DType dtype : {dw.dtype(), x.dtype()}) {
    const Tensor written = written_by_engine(s, x, dy, dtype, dw);
    if (!written.defined()) continue;
    if (written.raw() == dw.raw()) return;
    // In 16 bits `dw` is a gradient of other programs' filters, with channels that were padded.
    const bool is_f32 = dw.dtype() == DType::f32;
    const Output wide = is_f32 ? dw : Output(Tensor::empty(dw.shape(), DType::f32, Device::cuda));
    const Widening gradient[] = {{written, wide}};
    cuda::widen(gradient);
    if (!is_f32) dw.copy_from(wide);
    return;
  }
  say_fallback(key_of(ConvPass::backward_weight, s, x.dtype(), dw.dtype(), false, {dy.raw()}));
  cuda::conv2d_plain.backward_weight(s, x, dy, dw);
}

// Undefined if an engine writes f32 from 16-bit images, which loses nothing: backward_weight takes it. By its description
// an H200 with cuDNN 9.19 has none.
Tensor narrow_backward_weight(const ConvShape& s, const Tensor& x, const Tensor& dy) {
  if (x.dtype() == DType::f32) return {};
  const std::int64_t width = channels_on_cuda(s.c, x.dtype());
  const ConvolutionKey in_f32 = key_of(ConvPass::backward_weight, s, x.dtype(), DType::f32, false,
                                       {address(x, width), dy.raw(), nullptr});
  if (cudnn::plan_for(in_f32) != nullptr) return {};
  return written_by_engine(s, x, dy, x.dtype(), {});
}

const Conv2dKernels kernels = {forward, backward_data, backward_weight, narrow_backward_weight, cuda::widen};

}  // namespace

const Conv2dKernels* const conv2d_cuda = &kernels;

}  // namespace kindred
