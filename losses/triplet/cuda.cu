// One block for each anchor; its threads share the columns. Each column looks at all of its partners, so every
// derivative is computed by one thread in a fixed order.
#include <kindred/engine/cuda/launch.h>
#include <kindred/losses/triplet/kernels.h>

#include <limits>

namespace kindred {
namespace {

constexpr int threads = 128;
constexpr float infinity = std::numeric_limits<float>::infinity();

struct Options {
  float margin;
  bool hard, semi_hard, count_chosen;
};

struct Term {
  float loss;
  bool chosen, active;
};

__device__ Term term_of(float positive, float negative, const Options& options) {
  const float term = positive - negative + options.margin;
  const bool hit = !(term <= 0) && (!options.semi_hard || negative > positive);  // a NaN is a hit
  return {hit ? term : 0.0f, options.semi_hard ? hit : true, hit};
}

// The column with the highest key; among equal keys the first; -1 if there is none. Every thread of the block
// must call it.
__device__ std::int64_t best_of_block(float key, std::int64_t column) {
  __shared__ float keys[threads];
  __shared__ std::int64_t columns[threads];
  __syncthreads();
  keys[threadIdx.x] = key;
  columns[threadIdx.x] = column;
  for (int half = threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.x) >= half) continue;
    const std::int64_t other = columns[threadIdx.x + half];
    const float other_key = keys[threadIdx.x + half];
    const bool better = columns[threadIdx.x] < 0 || other_key > keys[threadIdx.x] ||
                        (other_key == keys[threadIdx.x] && other < columns[threadIdx.x]);
    if (other >= 0 && better) {
      keys[threadIdx.x] = other_key;
      columns[threadIdx.x] = other;
    }
  }
  __syncthreads();
  return columns[0];
}

__global__ void terms_kernel(const std::int32_t* labels, Options options, std::int64_t first, std::int64_t rows,
                             const float* distances, float* derivatives, float* losses, float* counts) {
  const std::int64_t i = blockIdx.x, anchor = first + i;
  const float* q = distances + i * rows;
  const std::int32_t label = labels[anchor];
  std::int64_t farthest = -1, nearest = -1;
  if (options.hard) {
    for (std::int64_t j = threadIdx.x; j < rows; j += threads) {
      if (j == anchor) continue;
      if (labels[j] == label) {
        if (farthest < 0 || q[j] > q[farthest]) farthest = j;
      } else if (nearest < 0 || q[j] < q[nearest]) {
        nearest = j;
      }
    }
    farthest = best_of_block(farthest < 0 ? -infinity : q[farthest], farthest);
    nearest = best_of_block(nearest < 0 ? -infinity : -q[nearest], nearest);
  }
  float loss = 0, chosen = 0, active = 0;
  for (std::int64_t j = threadIdx.x; j < rows; j += threads) {
    const bool is_positive = labels[j] == label;
    float derivative = 0;
    const bool takes_part = j != anchor && (!options.hard || j == farthest || j == nearest);
    for (std::int64_t k = 0; takes_part && k < rows; ++k) {
      if (k == anchor || (labels[k] == label) == is_positive) continue;
      if (options.hard && k != farthest && k != nearest) continue;
      const Term term = is_positive ? term_of(q[j], q[k], options) : term_of(q[k], q[j], options);
      if (term.active) derivative += is_positive ? 1.0f : -1.0f;
      if (!is_positive) continue;  // each triplet counts once
      loss += term.loss;
      chosen += term.chosen ? 1.0f : 0.0f;
      active += term.active ? 1.0f : 0.0f;
    }
    if (derivatives != nullptr) derivatives[i * rows + j] = derivative;
  }
  loss = cuda::block_sum<threads>(loss);
  const float count = cuda::block_sum<threads>(options.count_chosen ? chosen : active);
  if (threadIdx.x > 0) return;
  losses[i] = loss;
  counts[i] = count;
}

void terms(const Tensor& labels, const TripletOptions& options, std::int64_t first, Output distances,
           bool derive, Output losses, Output counts) {
  const std::int64_t rows = distances.dim(1);
  const Options plain{options.margin, options.mining == TripletMining::batch_hard,
                      options.mining == TripletMining::semi_hard,
                      options.reduction == TripletReduction::chosen};
  Tensor derivatives;  // a separate tensor, because some threads still read distances while others write
  if (derive) derivatives = Tensor::empty_like(distances);
  cuda::launch(terms_kernel, cuda::blocks_for(distances.dim(0), 1), threads, labels.data<std::int32_t>(), plain,
               first, rows, distances.data<float>(), derive ? derivatives.data<float>() : nullptr,
               losses.data<float>(), counts.data<float>());
  if (derive) Tensor(distances).copy_from(derivatives);
}

const TripletKernels kernels = {terms};

}  // namespace

const TripletKernels* const triplet_cuda = &kernels;

}  // namespace kindred
