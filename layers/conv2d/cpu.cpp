// oneDNN's convolutions: Winograd's where it pays, NHWC elsewhere; for few channels the hand-vectorised ones of
// direct.h.
#include <kindred/engine/accumulate.h>
#include <kindred/layers/conv2d/direct.h>
#include <kindred/layers/conv2d/kernels.h>
#include <kindred/third_party/onednn.h>

#include <algorithm>

namespace kindred {
namespace {

using onednn::Pass;

// Winograd's algorithm pays its transforms back from about 32 channels on, for the filter gradient from 64
// (bench/convolution.cpp). In bfloat16 it would round too much.
bool winograd_pays(Pass pass, const Conv2dShape& s, DType dtype) {
  const std::int64_t least = pass == Pass::backward_weight ? 64 : 32;
  return dtype == DType::f32 && s.kh == 3 && s.kw == 3 && s.stride == 1 && std::min(s.c, s.k) >= least;
}

onednn::Convolution key_of(Pass pass, const Conv2dShape& s, DType dtype, DType weight_dtype) {
  onednn::Convolution key{pass, dtype, weight_dtype, s.n,      s.h,   s.w,     s.c,
                          s.k,  s.kh,  s.kw,         s.stride, s.pad, s.out_h, s.out_w};
  if (winograd_pays(pass, s, dtype) && onednn::has_winograd(key)) key.algorithm = onednn::Algorithm::winograd;
  return key;
}

direct::Shape direct_shape(const Conv2dShape& s) {
  return {static_cast<int>(s.n),     static_cast<int>(s.h),      static_cast<int>(s.w),
          static_cast<int>(s.c),     static_cast<int>(s.k),      static_cast<int>(s.kh),
          static_cast<int>(s.kw),    static_cast<int>(s.stride), static_cast<int>(s.pad),
          static_cast<int>(s.out_h), static_cast<int>(s.out_w)};
}

bool runs_direct(direct::Direction direction, const Conv2dShape& shape, DType dtype) {
  if (winograd_pays(static_cast<Pass>(direction), shape, dtype)) return false;
  return dtype == DType::f32 && direct::prefers(direction, direct_shape(shape));
}

void forward(const Conv2dShape& shape, const Tensor& x, const Tensor& w, const Tensor& y) {
  if (runs_direct(direct::Direction::forward, shape, x.dtype()))
    direct::forward(direct_shape(shape), x.data<float>(), w.data<float>(), y.data<float>());
  else
    onednn::convolution(key_of(Pass::forward, shape, x.dtype(), w.dtype()), x.raw(), w.raw(), y.raw());
}

void backward_data(const Conv2dShape& shape, const Tensor& dy, const Tensor& w, const Tensor& addend,
                   const Tensor& dx) {
  if (runs_direct(direct::Direction::backward_data, shape, dy.dtype())) {
    direct::backward_data(direct_shape(shape), dy.data<float>(), w.data<float>(),
                          addend.defined() ? addend.data<float>() : nullptr, dx.data<float>());
    return;
  }
  onednn::convolution(key_of(Pass::backward_data, shape, dy.dtype(), w.dtype()), dx.raw(), w.raw(), dy.raw());
  if (addend.defined()) accumulate(dx, addend);  // oneDNN's data gradient takes no addend
}

void backward_weight(const Conv2dShape& shape, const Tensor& x, const Tensor& dy, const Tensor& dw) {
  if (runs_direct(direct::Direction::backward_weight, shape, x.dtype()))
    direct::backward_weight(direct_shape(shape), x.data<float>(), dy.data<float>(), dw.data<float>());
  else
    onednn::convolution(key_of(Pass::backward_weight, shape, x.dtype(), dw.dtype()), x.raw(), dw.raw(),
                        dy.raw());
}

// The workspace of a call, taken from the imaginary pool and given back at once.
void plan_workspace(direct::Direction direction, Pass pass, const Conv2dShape& shape, DType dtype,
                    DType weights) {
  if (runs_direct(direction, shape, dtype)) return;  // packs a few kilobytes on the stack of its own
  const std::size_t bytes = onednn::convolution_workspace(key_of(pass, shape, dtype, weights));
  Tensor::empty({static_cast<std::int64_t>(bytes)}, DType::u8, Device::plan);
}

}  // namespace

const Conv2dKernels conv2d_cpu = {forward, backward_data, backward_weight};

const Conv2dKernels conv2d_plan = {
    [](const Conv2dShape& shape, const Tensor& x, const Tensor& w, const Tensor&) {
      plan_workspace(direct::Direction::forward, Pass::forward, shape, x.dtype(), w.dtype());
    },
    [](const Conv2dShape& shape, const Tensor& dy, const Tensor& w, const Tensor&, const Tensor&) {
      plan_workspace(direct::Direction::backward_data, Pass::backward_data, shape, dy.dtype(), w.dtype());
    },
    [](const Conv2dShape& shape, const Tensor& x, const Tensor&, const Tensor& dw) {
      plan_workspace(direct::Direction::backward_weight, Pass::backward_weight, shape, x.dtype(), dw.dtype());
    },
};

}  // namespace kindred
