// One warp for each row. It reads its row twice, the second time from the cache.
#include <kindred/engine/cuda/launch.h>
#include <kindred/layers/l2_normalize/kernels.h>
#include <kindred/layers/l2_normalize/l2_normalize.h>

#include <cmath>

namespace kindred {
namespace {

constexpr int threads = 128;
constexpr int rows_per_block = threads / cuda::warp;

// In double, as on the CPU: squares of floats can neither overflow nor underflow.
__device__ double warp_sum_double(double value) {
#pragma unroll
  for (int step = cuda::warp / 2; step > 0; step /= 2) value += __shfl_xor_sync(cuda::all_lanes, value, step);
  return value;
}

template <typename T>
__global__ void forward_kernel(const T* x, float* y, float* length, std::int64_t rows, std::int64_t dim) {
  const std::int64_t m = std::int64_t{blockIdx.x} * rows_per_block + threadIdx.x / cuda::warp;
  const int lane = static_cast<int>(threadIdx.x) % cuda::warp;
  if (m >= rows) return;  // true for the whole warp
  const T* from = x + m * dim;
  double squares = 0;
  for (std::int64_t d = lane; d < dim; d += cuda::warp) {
    const double value = static_cast<float>(from[d]);
    squares += value * value;
  }
  const double norm = sqrt(warp_sum_double(squares));
  // fmax would lose a NaN.
  const double inverse = 1 / (norm < l2_normalize_shortest ? l2_normalize_shortest : norm);
  if (lane == 0) length[m] = static_cast<float>(norm);
  for (std::int64_t d = lane; d < dim; d += cuda::warp)
    y[m * dim + d] = static_cast<float>(double{static_cast<float>(from[d])} * inverse);
}

template <typename T>
__global__ void backward_kernel(const float* y, const float* length, const float* dy, T* dx, std::int64_t rows,
                                std::int64_t dim) {
  const std::int64_t m = std::int64_t{blockIdx.x} * rows_per_block + threadIdx.x / cuda::warp;
  const int lane = static_cast<int>(threadIdx.x) % cuda::warp;
  if (m >= rows) return;  // true for the whole warp
  double along_sum = 0;
  for (std::int64_t d = lane; d < dim; d += cuda::warp) along_sum += double{y[m * dim + d]} * dy[m * dim + d];
  const auto along = static_cast<float>(warp_sum_double(along_sum));
  const float norm = length[m];
  const float inverse = norm <= l2_normalize_shortest ? 0.0f : 1 / norm;
  for (std::int64_t d = lane; d < dim; d += cuda::warp)
    dx[m * dim + d] = T((dy[m * dim + d] - y[m * dim + d] * along) * inverse);
}

void forward(const Tensor& x, Output y, Output length) {
  const std::int64_t rows = x.dim(0), dim = x.dim(1);
  cuda::dispatch_cuda("l2_normalize", x.dtype(), [&]<typename T>(T) {
    cuda::launch(forward_kernel<T>, cuda::blocks_for(rows, rows_per_block), threads, x.data<T>(),
                 y.data<float>(), length.data<float>(), rows, dim);
  });
}

void backward(const Tensor& y, const Tensor& length, const Tensor& dy, Output dx) {
  const std::int64_t rows = dx.dim(0), dim = dx.dim(1);
  cuda::dispatch_cuda("l2_normalize", dx.dtype(), [&]<typename T>(T) {
    cuda::launch(backward_kernel<T>, cuda::blocks_for(rows, rows_per_block), threads, y.data<float>(),
                 length.data<float>(), dy.data<float>(), dx.data<T>(), rows, dim);
  });
}

const L2NormalizeKernels kernels = {forward, backward};

}  // namespace

const L2NormalizeKernels* const l2_normalize_cuda = &kernels;

}  // namespace kindred
