#include <kindred/layers/conv2d/product/moments.h>

namespace kindred::cuda {
namespace {

constexpr int channels = 8, lanes = 32, threads = channels * lanes;

struct Part {
  MeanAndVariance of{};
  double rows = 0;

  __device__ void take(const Part& other) {
    if (other.rows == 0) return;
    rows += other.rows;
    of = merged(of, other.of, other.rows / rows);
  }
};

// Lane l of a channel merges parts l, l + 32, ...; the first lane then merges the lanes.
__global__ void finish_kernel(RowParts division, const double* __restrict__ parts, std::int64_t columns,
                              float* mean, float* variance) {
  __shared__ Part shared[lanes][channels];
  const int lane = static_cast<int>(threadIdx.x) / channels, channel = static_cast<int>(threadIdx.x) % channels;
  const std::int64_t column = std::int64_t{blockIdx.x} * channels + channel;
  Part all;
  for (int part = lane; column < columns && part < division.parts(); part += lanes) {
    const double* const at = parts + 2 * part * columns + column;
    all.take({{at[0], at[columns]}, static_cast<double>(division.rows_of(part))});
  }
  shared[lane][channel] = all;
  __syncthreads();
  if (lane > 0 || column >= columns) return;
  for (int l = 1; l < lanes; ++l) all.take(shared[l][channel]);
  mean[column] = static_cast<float>(all.of.mean);
  variance[column] = static_cast<float>(all.of.variance);
}

}  // namespace

void finish_moments(const RowParts& division, const Tensor& parts, Output mean, Output variance) {
  const std::int64_t columns = mean.numel();
  launch(finish_kernel, blocks_for(columns, channels), threads, division, parts.data<double>(), columns,
         mean.data<float>(), variance.data<float>());
}

}  // namespace kindred::cuda
