// A GPU's convolutions as cuda.cu computes them: the memory of its workspace and its copies, and all of its
// work.
#include <kindred/engine/kernels/accumulate.h>
#include <kindred/engine/kernels/work.h>
#include <kindred/layers/conv2d/kernels.h>

#include <array>

namespace kindred {
namespace {

// The kinds that decide how fast a convolution is: few channels, skipped pixels, or the size of its window.
using Kinds = std::array<WorkKind, 4>;
const Kinds forward_kinds{WorkKind("conv2d.forward.stem"), WorkKind("conv2d.forward.strided"),
                          WorkKind("conv2d.forward.1x1"), WorkKind("conv2d.forward.3x3")},
    data_kinds{WorkKind("conv2d.data.stem"), WorkKind("conv2d.data.strided"), WorkKind("conv2d.data.1x1"),
               WorkKind("conv2d.data.3x3")},
    filter_kinds{WorkKind("conv2d.filter.stem"), WorkKind("conv2d.filter.strided"),
                 WorkKind("conv2d.filter.1x1"), WorkKind("conv2d.filter.3x3")};
const WorkKind repack_kind("conv2d.repack");

const WorkKind& kind_of(const Kinds& kinds, const ConvShape& s) {
  return kinds[s.c <= 4 ? 0 : s.stride > 1 ? 1 : s.kh == 1 && s.kw == 1 ? 2 : 3];
}

double operations(const ConvShape& s) {
  return 2.0 * static_cast<double>(s.y_elements()) * static_cast<double>(s.c * s.kh * s.kw);
}

// The bytes of x that are read: a window smaller than its stride does not cover all of x.
std::int64_t bytes_seen(const ConvShape& s, const Tensor& x) {
  if (s.kh >= s.stride && s.kw >= s.stride) return bytes_of({x});
  return bytes_of({x}) / (s.h * s.w) * (s.out_h * s.kh * s.out_w * s.kw);
}

// A typical plan needs a few megabytes. Which plan will be chosen is not known without a GPU.
void take_workspace() {
  Tensor::empty({std::int64_t{16} << 20}, DType::u8, Device::plan);
}

// The copy of a tensor whose last axis is padded, or the tensor itself if no padding is needed.
Tensor padded(const Tensor& tensor) {
  const Shape& s = tensor.shape();
  const std::int64_t width = channels_on_cuda(s.back(), tensor.dtype());
  if (width == s.back()) return tensor;
  const Tensor wide = Tensor::empty({s[0], s[1], s[2], width}, tensor.dtype(), Device::plan);
  record_work(repack_kind, {.read = bytes_of({tensor}), .written = bytes_of({wide})});
  return wide;
}

void forward(const ConvShape& s, const Tensor& x, const Tensor& w, Output y) {
  const Tensor wide_x = padded(x), wide_w = padded(w);
  take_workspace();
  record_work(kind_of(forward_kinds, s), {.read = bytes_seen(s, wide_x) + bytes_of({wide_w}),
                                          .written = bytes_of({y}),
                                          .operations = operations(s),
                                          .factors = x.dtype()});
}

// The addend is counted as a separate addition, because an epilogue that adds is used only if it is faster.
void backward_data(const ConvShape& s, const Tensor& dy, const Tensor& w, const Tensor& addend, Output dx) {
  take_workspace();
  record_work(kind_of(data_kinds, s), {.read = bytes_of({dy, w}),
                                       .written = bytes_of({dx}),
                                       .operations = operations(s),
                                       .factors = dy.dtype()});
  if (addend.defined()) add(dx, addend, dx);
}

void write_filters(const ConvShape& s, const Tensor& x, const Tensor& dy, const Tensor& dw) {
  const Tensor wide_x = padded(x);
  take_workspace();
  record_work(kind_of(filter_kinds, s), {.read = bytes_seen(s, wide_x) + bytes_of({dy}),
                                         .written = bytes_of({dw}),
                                         .operations = operations(s),
                                         .factors = x.dtype()});
}

void widen(std::span<const Widening> all) {
  Work work;
  for (const Widening& each : all) {
    work.read += bytes_of({each.from}) + (each.adds ? bytes_of({each.to}) : 0);
    work.written += bytes_of({each.to});
  }
  work.launches = static_cast<int>((all.size() + most_widenings - 1) / most_widenings);
  record_work(repack_kind, work);
}

// No engine writes f32 gradients of 16-bit images, so these are converted.
Tensor narrow_backward_weight(const ConvShape& s, const Tensor& x, const Tensor& dy) {
  if (x.dtype() == DType::f32) return {};
  const Tensor dw = Tensor::empty({s.k, s.kh, s.kw, channels_on_cuda(s.c, x.dtype())}, x.dtype(), Device::plan);
  write_filters(s, x, dy, dw);
  return dw;
}

void backward_weight(const ConvShape& s, const Tensor& x, const Tensor& dy, Output dw) {
  if (x.dtype() == dw.dtype()) return write_filters(s, x, dy, dw);
  const std::vector<Widening> gradient = {{narrow_backward_weight(s, x, dy), dw}};
  widen(gradient);
}

}  // namespace

const Conv2dKernels conv2d_plan = {forward, backward_data, backward_weight, narrow_backward_weight, widen};

}  // namespace kindred
