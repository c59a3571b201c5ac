#include <kindred/engine/kernels/select.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/conv2d/conv2d.h>
#include <kindred/layers/conv2d/kernels.h>

#include <cmath>

namespace kindred {
namespace {

const Operation conv2d_operation("conv2d");

// Of x and the filters. A GPU's x may have the zeros that it is padded with anyway.
bool channels_fit(const Tensor& x, const Tensor& filters) {
  const std::int64_t channels = filters.dim(3);
  return x.dim(3) == channels || (is_for_cuda(x.device()) && x.dim(3) == channels_on_cuda(channels, x.dtype()));
}

ConvShape shape_of(const Tensor& x, const Tensor& filters, const Conv2dOptions& options) {
  check(x.shape().rank() == 4 && filters.shape().rank() == 4 && channels_fit(x, filters), ExitCode::internal,
        "conv2d: x has the shape {} and the filters {}; expected [n, h, w, c] and [k, kh, kw, c]", x.shape(),
        filters.shape());
  check(x.dtype() == filters.dtype(), ExitCode::internal, "conv2d: x is {} and the filters are {}",
        name(x.dtype()), name(filters.dtype()));
  check_same_device(x, filters, "conv2d");
  ConvShape s{.n = x.dim(0),
              .h = x.dim(1),
              .w = x.dim(2),
              .c = filters.dim(3),
              .k = filters.dim(0),
              .kh = filters.dim(1),
              .kw = filters.dim(2),
              .stride = options.stride,
              .pad = options.padding};
  check(s.h + 2 * s.pad >= s.kh && s.w + 2 * s.pad >= s.kw, ExitCode::usage, Cause::small_image,
        "an image of {}x{} is too small here for a {}x{} convolution", s.h, s.w, s.kh, s.kw);
  s.out_h = (s.h + 2 * s.pad - s.kh) / s.stride + 1;
  s.out_w = (s.w + 2 * s.pad - s.kw) / s.stride + 1;
  return s;
}

Initializer initializer(Conv2dInit init, std::int64_t fan_in, std::int64_t fan_out) {
  if (init == Conv2dInit::pytorch_default) return uniform_init(1.0f / std::sqrt(static_cast<float>(fan_in)));
  return normal_init(std::sqrt(2.0f / static_cast<float>(fan_out)));
}

}  // namespace

const Conv2dKernels& conv2d_kernels(Device device) {
  return select_kernels("conv2d", device, conv2d_reference, conv2d_cpu, conv2d_cuda,
                        planned_device() == Device::cuda ? conv2d_plan : conv2d_plan_cpu);
}

Tensor conv2d(const Tensor& x, const Tensor& filters, const Conv2dOptions& options) {
  const ConvShape shape = shape_of(x, filters, options);
  Tensor y = Tensor::empty({shape.n, shape.out_h, shape.out_w, shape.k}, x.dtype(), x.device());
  conv2d_kernels(x.device()).forward(shape, x, filters, Output(y));

  if (Tape* tape = Tape::recording({&x, &filters})) {
    tape->record(conv2d_operation, {&x, &filters}, {&y}, {x, filters}, [shape](BackwardStep& step) {
      const auto [images, weights] = step.saved<2>();
      const Tensor& dy = step.output_gradient();
      const Conv2dKernels& kernels = conv2d_kernels(dy.device());
      if (step.wants(1)) {
        Tensor narrow;
        if (kernels.narrow_backward_weight && weights.gradient_dtype() == DType::f32)
          narrow = kernels.narrow_backward_weight(shape, images, dy);
        if (narrow.defined())
          step.pass_narrow_gradient(1, narrow, kernels.widen);
        else
          kernels.backward_weight(shape, images, dy, step.input_gradient(1));
      }
      if (step.wants(0)) {
        // An addition that costs a pass over memory is left to the batch norm that made x: it adds where it reads.
        const bool adds_freely = kernels.adds_freely && kernels.adds_freely(shape, dy.dtype());
        const Tensor addend = adds_freely || !step.is_added_by_maker(0) ? step.take_addend(0) : Tensor();
        kernels.backward_data(shape, dy, weights, addend, step.input_gradient(0));
      }
    });
  }
  return y;
}

Conv2d::Conv2d(ParameterStore& store, const std::string& layer_name, std::int64_t in_channels,
               std::int64_t out_channels, std::int64_t kernel, Conv2dOptions layer_options, Conv2dInit init)
    : name(layer_name),
      options(layer_options),
      weight(store.add(name + ".weight", {out_channels, kernel, kernel, in_channels}, ParameterKind::weight,
                       initializer(init, in_channels * kernel * kernel, out_channels * kernel * kernel))) {}

Tensor Conv2d::operator()(const Tensor& x) const {
  const TapeLabel label(name);
  return conv2d(x, weight.as(x.dtype()), options);
}

}  // namespace kindred
