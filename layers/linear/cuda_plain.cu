#include <kindred/engine/cuda/launch.h>
#include <kindred/layers/linear/cuda_plain.h>

namespace kindred::cuda {
namespace {

constexpr int threads = 256;

// The inner product of two strided vectors.
template <typename T>
__device__ float product(const T* a, std::int64_t a_stride, const T* b, std::int64_t b_stride,
                         std::int64_t count) {
  float sum = 0;
  for (std::int64_t i = 0; i < count; ++i)
    sum += static_cast<float>(a[i * a_stride]) * static_cast<float>(b[i * b_stride]);
  return sum;
}

__device__ std::int64_t element_of_thread() {
  return std::int64_t{blockIdx.x} * threads + threadIdx.x;
}

// `bias` may be null.
template <typename T>
__global__ void forward_kernel(const T* x, const T* w, const float* bias, bool relu, T* y, std::int64_t rows,
                               std::int64_t in, std::int64_t out) {
  const std::int64_t at = element_of_thread(), row = at / out, column = at % out;
  if (row >= rows) return;
  float sum = product(x + row * in, 1, w + column * in, 1, in);
  if (bias != nullptr) sum += bias[column];
  y[at] = static_cast<T>(relu && sum < 0 ? 0.0f : sum);
}

template <typename T>
__global__ void backward_data_kernel(const T* dy, const T* w, T* dx, std::int64_t rows, std::int64_t in,
                                     std::int64_t out) {
  const std::int64_t at = element_of_thread(), row = at / in, column = at % in;
  if (row < rows) dx[at] = static_cast<T>(product(dy + row * out, 1, w + column, in, out));
}

template <typename T, typename Gradient>
__global__ void backward_weight_kernel(const T* x, const T* dy, Gradient* dw, std::int64_t rows,
                                       std::int64_t in, std::int64_t out) {
  const std::int64_t at = element_of_thread(), output = at / in, input = at % in;
  if (output < out) dw[at] = static_cast<Gradient>(product(dy + output, out, x + input, in, rows));
}

// A block sums 32 columns: its warps take every eighth row, and a lane has one column.
template <typename T>
__global__ void backward_bias_kernel(const T* dy, float* db, std::int64_t rows, std::int64_t out) {
  constexpr int warps = threads / warp;
  __shared__ float partial[warps][warp];
  const int lane = static_cast<int>(threadIdx.x) % warp, row_of_warp = static_cast<int>(threadIdx.x) / warp;
  const std::int64_t column = std::int64_t{blockIdx.x} * warp + lane;
  float sum = 0;
  if (column < out)
    for (std::int64_t row = row_of_warp; row < rows; row += warps)
      sum += static_cast<float>(dy[row * out + column]);
  partial[row_of_warp][lane] = sum;
  __syncthreads();
  if (row_of_warp > 0 || column >= out) return;
  for (int w = 1; w < warps; ++w) sum += partial[w][lane];
  db[column] = sum;
}

void forward(const Tensor& x, const Tensor& w, const Tensor& bias, bool relu, Output y) {
  dispatch_cuda("linear", x.dtype(), [&]<typename T>(T) {
    launch(forward_kernel<T>, blocks_for(y.numel(), threads), threads, x.data<T>(), w.data<T>(),
           bias.defined() ? bias.data<float>() : nullptr, relu, y.data<T>(), x.dim(0), x.dim(1), w.dim(0));
  });
}

void backward_data(const Tensor& dy, const Tensor& w, Output dx) {
  dispatch_cuda("linear", dy.dtype(), [&]<typename T>(T) {
    launch(backward_data_kernel<T>, blocks_for(dx.numel(), threads), threads, dy.data<T>(), w.data<T>(),
           dx.data<T>(), dy.dim(0), w.dim(1), w.dim(0));
  });
}

void backward_bias(const Tensor& dy, Output db) {
  dispatch_cuda("linear", dy.dtype(), [&]<typename T>(T) {
    launch(backward_bias_kernel<T>, blocks_for(dy.dim(1), warp), threads, dy.data<T>(), db.data<float>(),
           dy.dim(0), dy.dim(1));
  });
}

void backward_weight(const Tensor& x, const Tensor& dy, Output dw, Output db) {
  dispatch_cuda("linear", x.dtype(), [&]<typename T>(T) {
    dispatch_cuda("linear", dw.dtype(), [&]<typename Gradient>(Gradient) {
      launch(backward_weight_kernel<T, Gradient>, blocks_for(dw.numel(), threads), threads, x.data<T>(),
             dy.data<T>(), dw.data<Gradient>(), x.dim(0), x.dim(1), dy.dim(1));
    });
  });
  if (db.defined()) backward_bias(dy, db);
}

}  // namespace

const LinearKernels linear_plain = {forward, backward_data, backward_weight, backward_bias};

}  // namespace kindred::cuda
