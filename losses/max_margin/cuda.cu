// One block for each row; its threads share the columns.
#include <kindred/engine/cuda/launch.h>
#include <kindred/losses/max_margin/kernels.h>
#include <kindred/losses/max_margin/pair.h>

namespace kindred {
namespace {

constexpr int threads = 128;

__global__ void terms_kernel(const std::int32_t* labels, float margin, std::int64_t first, std::int64_t rows,
                             float* distances, bool derive, float* losses, float* counts) {
  const std::int64_t i = blockIdx.x, self = first + i;
  float* q = distances + i * rows;
  float loss = 0;
  for (std::int64_t j = threadIdx.x; j < rows; j += threads) {
    max_margin_pair::Term<float> pair{0, 0};
    if (j != self) pair = max_margin_pair::term(q[j], labels[j] == labels[self], margin);
    loss += pair.loss;
    if (derive) q[j] = pair.derivative;
  }
  loss = cuda::block_sum<threads>(loss);
  if (threadIdx.x > 0) return;
  losses[i] = loss;
  counts[i] = static_cast<float>(rows - 1);
}

void terms(const Tensor& labels, double margin, std::int64_t first, Output distances, bool derive,
           Output losses, Output counts) {
  cuda::launch(terms_kernel, cuda::blocks_for(distances.dim(0), 1), threads, labels.data<std::int32_t>(),
               static_cast<float>(margin), first, distances.dim(1), distances.data<float>(), derive,
               losses.data<float>(), counts.data<float>());
}

const MaxMarginKernels kernels = {terms};

}  // namespace

const MaxMarginKernels* const max_margin_cuda = &kernels;

}  // namespace kindred
