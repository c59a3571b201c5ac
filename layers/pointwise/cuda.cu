// The ReLU. Each thread processes one pack of elements. Any length and any alignment.
#include <kindred/engine/cuda/packs.h>
#include <kindred/layers/pointwise/kernels.h>

namespace kindred {
namespace {

constexpr int threads = 256;

template <typename T, int width>
__global__ void relu_forward_kernel(const T* x, T* y, std::int64_t count) {
  cuda::for_packs<width, threads>(count, [=]<int n>(std::int64_t i) {
    auto values = cuda::load<n>(x + i);
#pragma unroll
    for (int k = 0; k < n; ++k) {
      const float value = values.element[k];
      values.element[k] = T(value < 0 ? 0.0f : value);  // fmaxf would lose a NaN
    }
    cuda::store(y + i, values);
  });
}

template <typename T, int width>
__global__ void relu_backward_kernel(const T* y, const T* dy, T* dx, std::int64_t count) {
  cuda::for_packs<width, threads>(count, [=]<int n>(std::int64_t i) {
    const auto output = cuda::load<n>(y + i);
    auto gradient = cuda::load<n>(dy + i);
#pragma unroll
    for (int k = 0; k < n; ++k)
      if (!(static_cast<float>(output.element[k]) > 0)) gradient.element[k] = T(0.0f);
    cuda::store(dx + i, gradient);
  });
}

void relu_forward(const Tensor& x, Output y) {
  const std::int64_t count = x.numel();
  cuda::dispatch_cuda("relu", x.dtype(), [&]<typename T>(T) {
    const T* input = x.data<T>();
    T* output = y.data<T>();
    cuda::with_width<T>(cuda::packs_fit<T>(input, output), [&]<int width>() {
      cuda::launch(relu_forward_kernel<T, width>, cuda::blocks_for(count, threads * width), threads, input,
                   output, count);
    });
  });
}

void relu_backward(const Tensor& y, const Tensor& dy, Output dx) {
  const std::int64_t count = y.numel();
  cuda::dispatch_cuda("relu", y.dtype(), [&]<typename T>(T) {
    const T* output = y.data<T>();
    const T* gradient = dy.data<T>();
    T* result = dx.data<T>();
    cuda::with_width<T>(cuda::packs_fit<T>(output, gradient, result), [&]<int width>() {
      cuda::launch(relu_backward_kernel<T, width>, cuda::blocks_for(count, threads * width), threads, output,
                   gradient, result, count);
    });
  });
}

const PointwiseKernels kernels = {relu_forward, relu_backward};

}  // namespace

const PointwiseKernels* const pointwise_cuda = &kernels;

}  // namespace kindred
