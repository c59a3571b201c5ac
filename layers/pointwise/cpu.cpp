#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/kernels/dispatch.h>
#include <kindred/layers/pointwise/kernels.h>

namespace kindred {
namespace {

constexpr std::int64_t grain = 16384;  // elements: starting a thread does not pay for fewer

void relu_forward(const Tensor& x, Output y) {
  dispatch_cpu("relu", x.dtype(), [&]<typename T>(T) {
    const T* input = x.data<T>();
    T* output = y.data<T>();
    parallel_for(x.numel(), grain, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const float value = input[i];
        output[i] = T(value < 0 ? 0.0f : value);
      }
    });
  });
}

void relu_backward(const Tensor& y, const Tensor& dy, Output dx) {
  dispatch_cpu("relu", y.dtype(), [&]<typename T>(T) {
    const T* output = y.data<T>();
    const T* gradient = dy.data<T>();
    T* result = dx.data<T>();
    parallel_for(y.numel(), grain, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const float value = gradient[i];
        result[i] = T(float(output[i]) > 0 ? value : 0.0f);
      }
    });
  });
}

}  // namespace

const PointwiseKernels pointwise_cpu = {relu_forward, relu_backward};

}  // namespace kindred
