// Selects who computes a convolution on the CPU. In float32 these are the Winograd kernels of winograd.h for
// 3x3 filters and few channels, the direct ones of direct.h for colour images and strides, and oneDNN's
// Winograd for 3x3 filters and more channels. Everything else is oneDNN's direct convolution.
// bench/convolution.cpp measured which is the fastest.
#include <kindred/engine/accumulate.h>
#include <kindred/layers/conv2d/direct.h>
#include <kindred/layers/conv2d/kernels.h>
#include <kindred/layers/conv2d/winograd.h>
#include <kindred/layers/in_f32.h>
#include <kindred/third_party/onednn/onednn.h>

#include <algorithm>

namespace kindred {
namespace {

using onednn::Pass;

enum class Engine { winograd, direct, onednn_winograd, onednn_direct };

onednn::Convolution key_of(Pass pass, const Conv2dShape& s, DType dtype, DType weight_dtype,
                           onednn::Algorithm algorithm) {
  return {pass, dtype, weight_dtype, s.n,   s.h,     s.w,     s.c,      s.k,
          s.kh, s.kw,  s.stride,     s.pad, s.out_h, s.out_w, algorithm};
}

direct::Shape direct_shape(const Conv2dShape& s) {
  return {static_cast<int>(s.n),     static_cast<int>(s.h),      static_cast<int>(s.w),
          static_cast<int>(s.c),     static_cast<int>(s.k),      static_cast<int>(s.kh),
          static_cast<int>(s.kw),    static_cast<int>(s.stride), static_cast<int>(s.pad),
          static_cast<int>(s.out_h), static_cast<int>(s.out_w)};
}

Engine engine_for(Pass pass, const Conv2dShape& s, DType dtype) {
  if (dtype != DType::f32) return Engine::onednn_direct;  // Winograd's rounding errors would be too large
  if (winograd::prefers(s)) return Engine::winograd;
  if (direct::prefers(pass, direct_shape(s))) return Engine::direct;
  const bool pays = s.kh == 3 && s.kw == 3 && s.stride == 1 && std::min(s.c, s.k) >= 64;
  if (pays && onednn::has_winograd(key_of(pass, s, dtype, dtype, onednn::Algorithm::winograd)))
    return Engine::onednn_winograd;
  return Engine::onednn_direct;
}

onednn::Algorithm algorithm_of(Engine engine) {
  return engine == Engine::onednn_winograd ? onednn::Algorithm::winograd : onednn::Algorithm::direct;
}

// The scratch memory of one call, from the pool; on the `plan` device from the imaginary pool.
Tensor winograd_scratch(Pass pass, const Conv2dShape& s, Device device = Device::cpu) {
  return Tensor::empty({winograd::scratch_floats(pass, s)}, DType::f32, device);
}

void forward(const Conv2dShape& s, const Tensor& x, const Tensor& w, const Tensor& y) {
  if (computes_in_f32(x.dtype()))
    return compute_in_f32(y, [&](const Tensor& result) { forward(s, widened(x), widened(w), result); });
  const Engine engine = engine_for(Pass::forward, s, x.dtype());
  if (engine == Engine::winograd) {
    const Tensor scratch = winograd_scratch(Pass::forward, s);
    winograd::forward(s, x.data<float>(), w.data<float>(), y.data<float>(), scratch.data<float>());
  } else if (engine == Engine::direct) {
    direct::forward(direct_shape(s), x.data<float>(), w.data<float>(), y.data<float>());
  } else {
    onednn::convolution(key_of(Pass::forward, s, x.dtype(), w.dtype(), algorithm_of(engine)), x.raw(), w.raw(),
                        y.raw());
  }
}

void backward_data(const Conv2dShape& s, const Tensor& dy, const Tensor& w, const Tensor& addend,
                   const Tensor& dx) {
  if (computes_in_f32(dy.dtype()))
    return compute_in_f32(
        dx, [&](const Tensor& result) { backward_data(s, widened(dy), widened(w), widened(addend), result); });
  const Engine engine = engine_for(Pass::backward_data, s, dy.dtype());
  const float* add = addend.defined() && dy.dtype() == DType::f32 ? addend.data<float>() : nullptr;
  if (engine == Engine::winograd) {
    const Tensor scratch = winograd_scratch(Pass::backward_data, s);
    winograd::backward_data(s, dy.data<float>(), w.data<float>(), add, dx.data<float>(), scratch.data<float>());
  } else if (engine == Engine::direct) {
    direct::backward_data(direct_shape(s), dy.data<float>(), w.data<float>(), add, dx.data<float>());
  } else {
    onednn::convolution(key_of(Pass::backward_data, s, dy.dtype(), w.dtype(), algorithm_of(engine)), dx.raw(),
                        w.raw(), dy.raw());
    if (addend.defined()) accumulate(dx, addend);  // oneDNN's data gradient has no addend
  }
}

// With two threads, oneDNN 2.6's kernel for AVX2 sometimes gives wrong results if the channels do not fill a
// vector (3 channels, 4 filters, stride 2). No ResNet has such a layer.
bool is_odd_product(const Conv2dShape& s) {
  return s.kh == 1 && s.kw == 1 && s.pad == 0 && s.c % 8 != 0;
}

// dw [k, c] = dy^T x over the pixels that a 1x1 filter sees.
void backward_weight_as_product(const Conv2dShape& s, const float* x, const float* dy, float* dw) {
  const std::int64_t rows = s.n * s.out_h * s.out_w;
  const Tensor seen = Tensor::empty({rows, s.c}, DType::f32, Device::cpu);
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t n = row / (s.out_h * s.out_w), i = row / s.out_w % s.out_h, j = row % s.out_w;
    std::copy_n(x + ((n * s.h + i * s.stride) * s.w + j * s.stride) * s.c, s.c, seen.data<float>() + row * s.c);
  }
  onednn::sgemm(true, false, s.k, s.c, rows, 1, dy, s.k, seen.data<float>(), s.c, 0, dw, s.c);
}

void backward_weight(const Conv2dShape& s, const Tensor& x, const Tensor& dy, const Tensor& dw) {
  if (computes_in_f32(x.dtype()))
    return compute_in_f32(dw,
                          [&](const Tensor& result) { backward_weight(s, widened(x), widened(dy), result); });
  if (x.dtype() == DType::f32 && is_odd_product(s))
    return backward_weight_as_product(s, x.data<float>(), dy.data<float>(), dw.data<float>());
  const Engine engine = engine_for(Pass::backward_weight, s, x.dtype());
  if (engine == Engine::winograd) {
    const Tensor scratch = winograd_scratch(Pass::backward_weight, s);
    winograd::backward_weight(s, x.data<float>(), dy.data<float>(), dw.data<float>(), scratch.data<float>());
  } else if (engine == Engine::direct) {
    direct::backward_weight(direct_shape(s), x.data<float>(), dy.data<float>(), dw.data<float>());
  } else {
    onednn::convolution(key_of(Pass::backward_weight, s, x.dtype(), dw.dtype(), algorithm_of(engine)), x.raw(),
                        dw.raw(), dy.raw());
  }
}

// The workspace of a call, taken from the imaginary pool and given back at once.
void plan_workspace(Pass pass, const Conv2dShape& s, DType dtype, DType weights) {
  if (computes_in_f32(dtype)) {
    const std::int64_t images = s.n * (s.h * s.w * s.c + s.out_h * s.out_w * s.k);
    const std::int64_t copies = images + (weights == DType::f32 ? 0 : s.k * s.kh * s.kw * s.c);
    const Tensor copied = Tensor::empty({copies}, DType::f32, Device::plan);
    return plan_workspace(pass, s, DType::f32, DType::f32);
  }
  const Engine engine = engine_for(pass, s, dtype);
  if (engine == Engine::winograd) {
    winograd_scratch(pass, s, Device::plan);
  } else if (engine != Engine::direct) {  // which uses only a few kilobytes of heap memory
    const auto bytes = onednn::convolution_workspace(key_of(pass, s, dtype, weights, algorithm_of(engine)));
    Tensor::empty({static_cast<std::int64_t>(bytes)}, DType::u8, Device::plan);
  }
}

}  // namespace

const Conv2dKernels conv2d_cpu = {forward, backward_data, backward_weight};

const Conv2dKernels conv2d_plan_cpu = {
    [](const Conv2dShape& shape, const Tensor& x, const Tensor& w, const Tensor&) {
      plan_workspace(Pass::forward, shape, x.dtype(), w.dtype());
    },
    [](const Conv2dShape& shape, const Tensor& dy, const Tensor& w, const Tensor&, const Tensor&) {
      plan_workspace(Pass::backward_data, shape, dy.dtype(), w.dtype());
    },
    [](const Conv2dShape& shape, const Tensor& x, const Tensor&, const Tensor& dw) {
      plan_workspace(Pass::backward_weight, shape, x.dtype(), dw.dtype());
    },
};

}  // namespace kindred
