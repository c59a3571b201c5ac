// Sums of tensors. Each thread adds one pack of elements. Any length and any alignment.
#include <kindred/engine/cuda/packs.h>
#include <kindred/engine/kernels/accumulate.h>

namespace kindred {
namespace {

constexpr int threads = 256;

// `out` may be `a` or `b`: each thread reads its elements before it writes them.
template <typename T, int width>
__global__ void add_kernel(const T* a, const T* b, T* out, std::int64_t count) {
  cuda::for_packs<width, threads>(count, [=]<int n>(std::int64_t i) {
    const auto left = cuda::load<n>(a + i);
    const auto right = cuda::load<n>(b + i);
    cuda::Pack<T, n> sum;
#pragma unroll
    for (int k = 0; k < n; ++k)
      sum.element[k] = T(static_cast<float>(left.element[k]) + static_cast<float>(right.element[k]));
    cuda::store(out + i, sum);
  });
}

void add_tensors(const Tensor& a, const Tensor& b, Output out) {
  const std::int64_t count = out.numel();
  cuda::dispatch_cuda("add", out.dtype(), [&]<typename T>(T) {
    const T* left = a.data<T>();
    const T* right = b.data<T>();
    T* sum = out.data<T>();
    cuda::with_width<T>(cuda::packs_fit<T>(left, right, sum), [&]<int width>() {
      cuda::launch(add_kernel<T, width>, cuda::blocks_for(count, threads * width), threads, left, right, sum,
                   count);
    });
  });
}

template <int width>
__global__ void move_kernel(float* average, const float* value, float weight, std::int64_t count) {
  cuda::for_packs<width, threads>(count, [=]<int n>(std::int64_t i) {
    auto moved = cuda::load<n>(average + i);
    const auto target = cuda::load<n>(value + i);
#pragma unroll
    for (int k = 0; k < n; ++k) moved.element[k] += (target.element[k] - moved.element[k]) * weight;
    cuda::store(average + i, moved);
  });
}

void move_average_of(Output average, const Tensor& value, double weight) {
  const std::int64_t count = average.numel();
  float* moved = average.data<float>();
  const float* target = value.data<float>();
  cuda::with_width<float>(cuda::packs_fit<float>(moved, target), [&]<int width>() {
    cuda::launch(move_kernel<width>, cuda::blocks_for(count, threads * width), threads, moved, target,
                 static_cast<float>(weight), count);
  });
}

const AccumulateKernels kernels = {add_tensors, move_average_of};

}  // namespace

const AccumulateKernels* const accumulate_cuda = &kernels;

}  // namespace kindred
