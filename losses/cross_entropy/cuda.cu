// One warp for each row of logits. Each lane takes every 32nd group of neighbouring logits: 16 bytes if the
// rows are aligned to that, and one logit otherwise. The forward pass reads the logits once, with a running
// maximum.
//
// Labels on a GPU are not checked beforehand. If a label is not a class, the loss becomes NaN, and no memory
// outside the row is read.
#include <kindred/engine/cuda/launch.h>
#include <kindred/losses/cross_entropy/kernels.h>

#include <cmath>
#include <limits>
#include <type_traits>

namespace kindred {
namespace {

using cuda::Pack;

constexpr int rows_per_block = 8;
constexpr int threads = rows_per_block * cuda::warp;
constexpr int mean_threads = 512;
constexpr float infinity = std::numeric_limits<float>::infinity();

struct Rows {
  std::int64_t count, classes;
  std::int64_t mean_rows;      // over which the mean is taken
  const std::int32_t* labels;  // [count]
};

__device__ std::int64_t row_of_warp() {
  return std::int64_t{blockIdx.x} * rows_per_block + threadIdx.x / cuda::warp;
}

// Calls body(first_class, pack) for the packs of a row that this lane takes.
template <typename T, int width, typename Body>
__device__ void for_each_pack(const T* row, std::int64_t classes, Body&& body) {
  const int lane = static_cast<int>(threadIdx.x) % cuda::warp;
  for (std::int64_t c = lane * width; c < classes; c += cuda::warp * width)
    body(c, *reinterpret_cast<const Pack<T, width>*>(row + c));
}

// What to subtract before exp. It is never -inf: a lane without a logit so far would compute exp(-inf - -inf),
// which is NaN.
__device__ float subtrahend(float maximum) {
  return maximum == -infinity ? 0.0f : maximum;
}

template <typename T, int width>
__global__ void forward_kernel(const T* logits, Rows rows, float smoothing, float* lse, float* losses) {
  const std::int64_t n = row_of_warp();
  if (n >= rows.count) return;  // true for the whole warp
  const T* row = logits + n * rows.classes;
  float maximum = -infinity;
  float exponentials = 0;  // sum of exp(logit - maximum)
  float sum = 0;
  for_each_pack<T, width>(row, rows.classes, [&](std::int64_t, const Pack<T, width>& pack) {
    float highest = maximum;
    for (int i = 0; i < width; ++i) highest = fmaxf(highest, static_cast<float>(pack.element[i]));
    const float base = subtrahend(highest);
    exponentials *= __expf(maximum - base);
    for (int i = 0; i < width; ++i) {
      exponentials += __expf(static_cast<float>(pack.element[i]) - base);
      sum += static_cast<float>(pack.element[i]);
    }
    maximum = highest;
  });
  const float highest = cuda::warp_max(maximum);
  exponentials = cuda::warp_sum(exponentials * __expf(maximum - subtrahend(highest)));
  sum = cuda::warp_sum(sum);
  if (threadIdx.x % cuda::warp != 0) return;
  const double log_sum = highest + std::log(static_cast<double>(exponentials));
  const std::int32_t label = rows.labels[n];
  const float labelled = label >= 0 && label < rows.classes ? static_cast<float>(row[label])
                                                            : std::numeric_limits<float>::quiet_NaN();
  lse[n] = static_cast<float>(log_sum);
  losses[n] = static_cast<float>(log_sum - (1 - static_cast<double>(smoothing)) * labelled -
                                 static_cast<double>(smoothing) / static_cast<double>(rows.classes) * sum);
}

// One block, which sums in a fixed order.
__global__ void mean_kernel(const float* losses, std::int64_t count, std::int64_t mean_rows, float* loss) {
  double sum = 0;
#pragma unroll 4
  for (std::int64_t i = threadIdx.x; i < count; i += mean_threads) sum += static_cast<double>(losses[i]);
  __shared__ double sums[mean_threads];
  sums[threadIdx.x] = sum;
  for (int half = mean_threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  if (threadIdx.x == 0) *loss = static_cast<float>(sums[0] / static_cast<double>(mean_rows));
}

template <typename T, int width>
__global__ void backward_kernel(const T* logits, Rows rows, float smoothing, const float* lse,
                                const float* upstream, T* d_logits) {
  const std::int64_t n = row_of_warp();
  if (n >= rows.count) return;
  const std::int32_t label = rows.labels[n];
  const float factor = *upstream / static_cast<float>(rows.mean_rows), log_sum = lse[n];
  const float target_of_others = smoothing / static_cast<float>(rows.classes);
  const float target_of_label = 1 - smoothing + target_of_others;
  T* result = d_logits + n * rows.classes;
  for_each_pack<T, width>(logits + n * rows.classes, rows.classes, [&](std::int64_t c, Pack<T, width> pack) {
    for (int i = 0; i < width; ++i) {
      const float softmax = __expf(static_cast<float>(pack.element[i]) - log_sum);
      const float target = c + i == label ? target_of_label : target_of_others;
      pack.element[i] = T(factor * (softmax - target));
    }
    *reinterpret_cast<Pack<T, width>*>(result + c) = pack;
  });
}

// Calls body(std::integral_constant<int, width>), where width is the number of logits that one access moves.
template <typename T, typename Body>
void with_width(std::int64_t classes, Body&& body) {
  if (classes % cuda::pack_width<T> == 0)
    body(std::integral_constant<int, cuda::pack_width<T>>{});
  else
    body(std::integral_constant<int, 1>{});
}

Rows rows_of(const Tensor& logits, const Tensor& labels, std::int64_t mean_rows) {
  return {logits.dim(0), logits.dim(1), mean_rows, labels.data<std::int32_t>()};
}

void forward(const Tensor& logits, const Tensor& labels, double smoothing, std::int64_t mean_rows, Output lse,
             Output loss) {
  const Rows rows = rows_of(logits, labels, mean_rows);
  const Tensor losses = Tensor::empty({rows.count}, DType::f32, Device::cuda);
  cuda::dispatch_cuda("cross_entropy", logits.dtype(), [&]<typename T>(T) {
    with_width<T>(rows.classes, [&]<int width>(std::integral_constant<int, width>) {
      cuda::launch(forward_kernel<T, width>, cuda::blocks_for(rows.count, rows_per_block), threads,
                   logits.data<T>(), rows, static_cast<float>(smoothing), lse.data<float>(),
                   losses.data<float>());
    });
  });
  cuda::launch(mean_kernel, dim3(1), mean_threads, losses.data<float>(), rows.count, mean_rows,
               loss.data<float>());
}

void backward(const Tensor& logits, const Tensor& labels, double smoothing, std::int64_t mean_rows,
              const Tensor& lse, const Tensor& upstream, Output d_logits) {
  const Rows rows = rows_of(logits, labels, mean_rows);
  cuda::dispatch_cuda("cross_entropy", logits.dtype(), [&]<typename T>(T) {
    with_width<T>(rows.classes, [&]<int width>(std::integral_constant<int, width>) {
      cuda::launch(backward_kernel<T, width>, cuda::blocks_for(rows.count, rows_per_block), threads,
                   logits.data<T>(), rows, static_cast<float>(smoothing), lse.data<float>(),
                   upstream.data<float>(), d_logits.data<T>());
    });
  });
}

const CrossEntropyKernels kernels = {forward, backward};

}  // namespace

const CrossEntropyKernels* const cross_entropy_cuda = &kernels;

}  // namespace kindred
