// One thread per element. The code is plain, because these losses are baselines. Every sum has a fixed order.
#include <kindred/engine/cuda/launch.h>
#include <kindred/losses/pairs/kernels.h>

namespace kindred {
namespace {

constexpr int threads = 256;

__global__ void distances_kernel(const float* features, std::int64_t rows, std::int64_t dim, std::int64_t first,
                                 std::int64_t count, float* distances) {
  const std::int64_t at = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (at >= count * rows) return;
  const float* a = features + (first + at / rows) * dim;
  const float* b = features + at % rows * dim;
  float sum = 0;
  for (std::int64_t d = 0; d < dim; ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
  distances[at] = sum;
}

// Runs in one block.
__global__ void mean_kernel(const float* losses, const float* counts, std::int64_t rows, float* loss,
                            float* weight) {
  __shared__ double sums[threads];
  __shared__ double numbers[threads];
  double sum = 0, number = 0;
  for (std::int64_t i = threadIdx.x; i < rows; i += threads) {
    sum += static_cast<double>(losses[i]);
    number += static_cast<double>(counts[i]);
  }
  sums[threadIdx.x] = sum;
  numbers[threadIdx.x] = number;
  for (int half = threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.x) >= half) continue;
    sums[threadIdx.x] += sums[threadIdx.x + half];
    numbers[threadIdx.x] += numbers[threadIdx.x + half];
  }
  if (threadIdx.x > 0) return;
  *loss = numbers[0] > 0 ? static_cast<float>(sums[0] / numbers[0]) : 0.0f;
  *weight = numbers[0] > 0 ? static_cast<float>(1 / numbers[0]) : 0.0f;
}

// One thread for each element of d_features.
__global__ void gradient_kernel(const float* features, std::int64_t rows, std::int64_t dim, std::int64_t first,
                                std::int64_t count, const float* weights, const float* upstream,
                                const float* weight, float* d_features) {
  const std::int64_t at = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (at >= rows * dim) return;
  const std::int64_t row = at / dim, d = at % dim;
  const float own = features[at];
  float sum = 0;
  for (std::int64_t i = 0; i < count; ++i)
    sum += weights[i * rows + row] * (own - features[(first + i) * dim + d]);
  if (row >= first && row < first + count)
    for (std::int64_t j = 0; j < rows; ++j)
      sum += weights[(row - first) * rows + j] * (own - features[j * dim + d]);
  d_features[at] += 2 * *upstream * *weight * sum;
}

void distances(const Tensor& features, std::int64_t first, Output result) {
  cuda::launch(distances_kernel, cuda::blocks_for(result.numel(), threads), threads, features.data<float>(),
               features.dim(0), features.dim(1), first, result.dim(0), result.data<float>());
}

void mean(const Tensor& losses, const Tensor& counts, Output loss, Output weight) {
  cuda::launch(mean_kernel, dim3(1), threads, losses.data<float>(), counts.data<float>(), losses.numel(),
               loss.data<float>(), weight.data<float>());
}

void add_gradient(const Tensor& features, std::int64_t first, const Tensor& weights, const Tensor& upstream,
                  const Tensor& weight, Output d_features) {
  cuda::launch(gradient_kernel, cuda::blocks_for(d_features.numel(), threads), threads, features.data<float>(),
               features.dim(0), features.dim(1), first, weights.dim(0), weights.data<float>(),
               upstream.data<float>(), weight.data<float>(), d_features.data<float>());
}

const PairsKernels kernels = {distances, mean, add_gradient};

}  // namespace

const PairsKernels* const pairs_cuda = &kernels;

}  // namespace kindred
