// Convolutions by cuDNN 9, each with the fastest plan for its shape; without a plan, by the plain kernels.
//
// If the number of channels is not a multiple of 8 (the stem's three colours), the channels are zero-padded in
// copies that exist during the call, because tensor cores read eight 16-bit numbers at a time. Code outside of
// this file never sees the padding.
#include <kindred/engine/cuda/launch.h>
#include <kindred/engine/kernels/accumulate.h>
#include <kindred/layers/conv2d/cuda_plain.h>
#include <kindred/third_party/alignment.h>
#include <kindred/third_party/cudnn/convolution.h>

#include <cstdio>
#include <set>

namespace kindred {
namespace {

using cudnn::ConvolutionKey;

constexpr int threads = 256;

// to[row, width] = from[row, channels], followed by zeros. If width is smaller than channels, only the first
// `width` are copied.
template <typename To, typename From>
__global__ void repack_kernel(const From* from, To* to, std::int64_t rows, int channels, int width) {
  const std::int64_t at = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (at >= rows * width) return;
  const std::int64_t row = at / width;
  const int c = static_cast<int>(at % width);
  to[at] = c < channels ? static_cast<To>(static_cast<float>(from[row * channels + c])) : To(0.0f);
}

void repack(const Tensor& from, std::int64_t channels, const Tensor& to, std::int64_t width) {
  const std::int64_t rows = from.numel() / channels;
  cuda::dispatch_cuda("conv2d", from.dtype(), [&]<typename From>(From) {
    cuda::dispatch_cuda("conv2d", to.dtype(), [&]<typename To>(To) {
      cuda::launch(repack_kernel<To, From>, cuda::blocks_for(rows * width, threads), threads, from.data<From>(),
                   to.data<To>(), rows, static_cast<int>(channels), static_cast<int>(width));
    });
  });
}

// `tensor` with its last axis padded to `width`, or the tensor itself.
Tensor padded(const Tensor& tensor, std::int64_t width) {
  if (tensor.shape().back() == width) return tensor;
  const Shape& s = tensor.shape();
  const Tensor copy = Tensor::empty({s[0], s[1], s[2], width}, tensor.dtype(), Device::cuda);
  repack(tensor, s.back(), copy, width);
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
  const auto key_with = [&](bool with_addend, const Tensor& result) {
    return key_of(ConvPass::backward_data, s, dy.dtype(), w.dtype(), with_addend,
                  {dy.raw(), w.raw(), result.raw(), with_addend ? addend.raw() : nullptr});
  };
  if (channels_on_cuda(s.c, dy.dtype()) == s.c) {
    // The addend may be dx itself. Then the gradient is computed into a separate tensor.
    const bool in_place = addend.defined() && addend.raw() == dx.raw();
    if (addend.defined() && !in_place) {
      const cudnn::Plan* fused = cudnn::plan_for(key_with(true, dx));
      if (fused != nullptr)
        return cudnn::run(*fused, {{0, dx.raw()}, {1, w.raw()}, {2, dy.raw()}, {3, addend.raw()}});
    }
    const Tensor gradient = in_place ? Tensor::empty_like(dx) : dx;
    const ConvolutionKey key = key_with(false, gradient);
    if (const cudnn::Plan* plan = cudnn::plan_for(key)) {
      cudnn::run(*plan, {{0, gradient.raw()}, {1, w.raw()}, {2, dy.raw()}});
      if (addend.defined()) add(gradient, addend, dx);
      return;
    }
    say_fallback(key);
  }
  cuda::conv2d_plain.backward_data(s, dy, w, addend, dx);
}

void backward_weight(const ConvShape& s, const Tensor& x, const Tensor& dy, Output dw) {
  // The gradient is float32 if an engine can write it directly from 16-bit factors; otherwise it is converted.
  const std::int64_t width = channels_on_cuda(s.c, x.dtype());
  const auto key_with = [&](DType written) {
    const bool directly = width == s.c && written == dw.dtype();
    return key_of(ConvPass::backward_weight, s, x.dtype(), written, false,
                  {address(x, width), dy.raw(), directly ? dw.raw() : nullptr});
  };
  for (const DType written : {dw.dtype(), x.dtype()}) {
    const ConvolutionKey key = key_with(written);
    const cudnn::Plan* plan = cudnn::plan_for(key);
    if (plan == nullptr) continue;
    const Tensor wide_x = padded(x, key.shape.c);
    if (key.shape.c == s.c && written == dw.dtype())
      return cudnn::run(*plan, {{0, wide_x.raw()}, {1, dw.raw()}, {2, dy.raw()}});
    const Tensor wide = Tensor::empty({s.k, s.kh, s.kw, key.shape.c}, written, Device::cuda);
    cudnn::run(*plan, {{0, wide_x.raw()}, {1, wide.raw()}, {2, dy.raw()}});
    return repack(wide, key.shape.c, dw, s.c);
  }
  say_fallback(key_with(dw.dtype()));
  cuda::conv2d_plain.backward_weight(s, x, dy, dw);
}

const Conv2dKernels kernels = {forward, backward_data, backward_weight};

}  // namespace

const Conv2dKernels* const conv2d_cuda = &kernels;

}  // namespace kindred
