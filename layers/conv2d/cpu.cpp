// Selects the implementation of a convolution on the CPU. In float32 these are the Winograd kernels of
// winograd.h for 3x3 filters and few channels, the direct ones of direct.h for colour images and strides, those of
// pixel_products.h for images of a few pixels, and oneDNN's Winograd for 3x3 filters and more channels. Everything else is
// oneDNN's direct convolution.
// bench/convolution.cpp measured which is the fastest.
#include <kindred/engine/cpu/targets.h>
#include <kindred/engine/kernels/accumulate.h>
#include <kindred/layers/conv2d/direct.h>
#include <kindred/layers/conv2d/kernels.h>
#include <kindred/layers/conv2d/scratch_kernels.h>
#include <kindred/layers/in_f32.h>
#include <kindred/third_party/onednn/onednn.h>

#include <algorithm>

namespace kindred {
namespace {

enum class Engine { pixel_products, winograd, direct, onednn_winograd, onednn_direct };

Engine engine_for(ConvPass pass, const ConvShape& s, DType dtype) {
  if (dtype != DType::f32) return Engine::onednn_direct;  // Winograd's rounding errors would be too large
  if (pixel_products::prefers(s)) return Engine::pixel_products;
  if (winograd::prefers(pass, s)) return Engine::winograd;
  if (direct::prefers(pass, s)) return Engine::direct;
  // oneDNN's code for Arm has vectors of 512 bits at least. Otherwise it has plain loops, and anything is faster.
  if (cpu_target() == CpuTarget::neon && pixel_products::supports(s)) return Engine::pixel_products;
  const bool pays = s.kh == 3 && s.kw == 3 && s.stride == 1 && std::min(s.c, s.k) >= 64;
  if (pays && onednn::has_winograd({pass, dtype, dtype, s, onednn::Algorithm::winograd}))
    return Engine::onednn_winograd;
  return Engine::onednn_direct;
}

onednn::Algorithm algorithm_of(Engine engine) {
  return engine == Engine::onednn_winograd ? onednn::Algorithm::winograd : onednn::Algorithm::direct;
}

// Null for engines that need no scratch memory from here.
const ScratchKernels* scratch_kernels(Engine engine) {
  if (engine == Engine::winograd) return &winograd_kernels;
  return engine == Engine::pixel_products ? &pixel_product_kernels : nullptr;
}

// The scratch memory of one call, from the pool; on the `plan` device from the imaginary pool.
Tensor scratch_of(const ScratchKernels& kernels, ConvPass pass, const ConvShape& s,
                  Device device = Device::cpu) {
  return Tensor::empty({kernels.scratch_floats(pass, s)}, DType::f32, device);
}

void forward(const ConvShape& s, const Tensor& x, const Tensor& w, Output y) {
  if (computes_in_f32(x.dtype()))
    return compute_in_f32(y, [&](Output result) { forward(s, widened(x), widened(w), result); });
  const Engine engine = engine_for(ConvPass::forward, s, x.dtype());
  if (const ScratchKernels* own = scratch_kernels(engine)) {
    const Tensor scratch = scratch_of(*own, ConvPass::forward, s);
    own->forward(s, x.data<float>(), w.data<float>(), y.data<float>(), scratch.data<float>());
  } else if (engine == Engine::direct) {
    direct::forward(s, x.data<float>(), w.data<float>(), y.data<float>());
  } else {
    onednn::convolution({ConvPass::forward, x.dtype(), w.dtype(), s, algorithm_of(engine)}, x.raw(), w.raw(),
                        y.raw());
  }
}

void backward_data(const ConvShape& s, const Tensor& dy, const Tensor& w, const Tensor& addend, Output dx) {
  if (computes_in_f32(dy.dtype()))
    return compute_in_f32(
        dx, [&](Output result) { backward_data(s, widened(dy), widened(w), widened(addend), result); });
  const Engine engine = engine_for(ConvPass::backward_data, s, dy.dtype());
  const float* add = addend.defined() && dy.dtype() == DType::f32 ? addend.data<float>() : nullptr;
  if (const ScratchKernels* own = scratch_kernels(engine)) {
    const Tensor scratch = scratch_of(*own, ConvPass::backward_data, s);
    own->backward_data(s, dy.data<float>(), w.data<float>(), add, dx.data<float>(), scratch.data<float>());
  } else if (engine == Engine::direct) {
    direct::backward_data(s, dy.data<float>(), w.data<float>(), add, dx.data<float>());
  } else {
    onednn::convolution({ConvPass::backward_data, dy.dtype(), w.dtype(), s, algorithm_of(engine)}, dx.raw(),
                        w.raw(), dy.raw());
    if (addend.defined()) accumulate(dx, addend);  // oneDNN's data gradient has no addend
  }
}

// oneDNN's data gradient has no addend. A sum in f32 copies of bf16 stays there, because it is rounded only once.
bool adds_freely(const ConvShape& s, DType dtype) {
  if (computes_in_f32(dtype)) return true;
  const Engine engine = engine_for(ConvPass::backward_data, s, dtype);
  return engine != Engine::onednn_winograd && engine != Engine::onednn_direct;
}

// With two threads, oneDNN 2.6's kernel for AVX2 sometimes gives wrong results if the channels do not fill a
// vector (3 channels, 4 filters, stride 2). No ResNet has such a layer.
bool is_odd_product(const ConvShape& s) {
  return s.kh == 1 && s.kw == 1 && s.pad == 0 && s.c % 8 != 0;
}

// dw [k, c] = dy^T x over the pixels that a 1x1 filter sees.
void backward_weight_as_product(const ConvShape& s, const float* x, const float* dy, float* dw) {
  const std::int64_t rows = s.n * s.out_h * s.out_w;
  const Tensor seen = Tensor::empty({rows, s.c}, DType::f32, Device::cpu);
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t n = row / (s.out_h * s.out_w), i = row / s.out_w % s.out_h, j = row % s.out_w;
    std::copy_n(x + ((n * s.h + i * s.stride) * s.w + j * s.stride) * s.c, s.c, seen.data<float>() + row * s.c);
  }
  onednn::sgemm({.m = s.k, .n = s.c, .k = rows, .transpose_a = true}, dy, seen.data<float>(), dw);
}

void backward_weight(const ConvShape& s, const Tensor& x, const Tensor& dy, Output dw) {
  if (computes_in_f32(x.dtype()))
    return compute_in_f32(dw, [&](Output result) { backward_weight(s, widened(x), widened(dy), result); });
  if (x.dtype() == DType::f32 && is_odd_product(s))
    return backward_weight_as_product(s, x.data<float>(), dy.data<float>(), dw.data<float>());
  const Engine engine = engine_for(ConvPass::backward_weight, s, x.dtype());
  if (const ScratchKernels* own = scratch_kernels(engine)) {
    const Tensor scratch = scratch_of(*own, ConvPass::backward_weight, s);
    own->backward_weight(s, x.data<float>(), dy.data<float>(), dw.data<float>(), scratch.data<float>());
  } else if (engine == Engine::direct) {
    direct::backward_weight(s, x.data<float>(), dy.data<float>(), dw.data<float>());
  } else {
    onednn::convolution({ConvPass::backward_weight, x.dtype(), dw.dtype(), s, algorithm_of(engine)}, x.raw(),
                        dw.raw(), dy.raw());
  }
}

// The workspace of a call, taken from the imaginary pool and given back at once.
void plan_workspace(ConvPass pass, const ConvShape& s, DType dtype, DType weights) {
  if (computes_in_f32(dtype)) {
    const std::int64_t images = s.x_elements() + s.y_elements();
    const std::int64_t copies = images + (weights == DType::f32 ? 0 : s.filter_elements());
    const Tensor copied = Tensor::empty({copies}, DType::f32, Device::plan);
    return plan_workspace(pass, s, DType::f32, DType::f32);
  }
  const Engine engine = engine_for(pass, s, dtype);
  if (const ScratchKernels* own = scratch_kernels(engine)) {
    scratch_of(*own, pass, s, Device::plan);
  } else if (engine != Engine::direct) {  // which uses only a few kilobytes of heap memory
    const auto bytes = onednn::convolution_workspace({pass, dtype, weights, s, algorithm_of(engine)});
    Tensor::empty({static_cast<std::int64_t>(bytes)}, DType::u8, Device::plan);
  }
}

}  // namespace

const Conv2dKernels conv2d_cpu = {.forward = forward,
                                  .backward_data = backward_data,
                                  .backward_weight = backward_weight,
                                  .adds_freely = adds_freely};

const Conv2dKernels conv2d_plan_cpu = {
    .forward = [](const ConvShape& shape, const Tensor& x, const Tensor& w,
                  Output) { plan_workspace(ConvPass::forward, shape, x.dtype(), w.dtype()); },
    .backward_data = [](const ConvShape& shape, const Tensor& dy, const Tensor& w, const Tensor&,
                        Output) { plan_workspace(ConvPass::backward_data, shape, dy.dtype(), w.dtype()); },
    .backward_weight =
        [](const ConvShape& shape, const Tensor& x, const Tensor&, Output dw) {
          plan_workspace(ConvPass::backward_weight, shape, x.dtype(), dw.dtype());
        },
    .adds_freely = adds_freely,
};

}  // namespace kindred
