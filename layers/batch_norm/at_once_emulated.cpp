// cuDNN has no emulation. For some shapes the separate kernels of cuda.cu replace it here, with a mask that
// only these two functions can read.
#define KINDRED_EMULATE
#include <kindred/engine/cuda/launch.h>
#include <kindred/layers/batch_norm/at_once.h>
#include <kindred/layers/batch_norm/kernels.h>

namespace kindred {
namespace {

bool is_faster(const Tensor& x, bool, bool) {
  return x.shape().back() % 16 == 0;
}

__global__ void invert_kernel(const std::uint8_t* mask, std::uint8_t* inverted, std::int64_t bytes) {
  const std::int64_t i = std::int64_t{blockIdx.x} * 32 + threadIdx.x;
  if (i < bytes) inverted[i] = static_cast<std::uint8_t>(~mask[i]);
}

void invert(const Tensor& mask, const Tensor& inverted) {
  cuda::launch(invert_kernel, cuda::blocks_for(mask.numel(), 32), 32, mask.data<std::uint8_t>(),
               inverted.data<std::uint8_t>(), mask.numel());
}

void forward(const Tensor& x, const Tensor& scale, const Tensor& bias, const Tensor& residual, double epsilon,
             const Tensor& mask, const Tensor& mean, const Tensor& variance, const Tensor& y) {
  const BatchNormKernels& halves = *batch_norm_cuda;
  halves.statistics(x, mean, variance);
  const Tensor inv_std = Tensor::empty_like(mean);
  halves.finish_statistics(mean, variance, epsilon, 0, x.numel() / mean.numel(), inv_std, {}, {});
  halves.apply(x, mean, inv_std, scale, bias, residual, mask.defined(), mask, y);
  if (mask.defined()) invert(mask, mask);
}

void backward(const Tensor& dy, const Tensor& mask, const Tensor& x, const Tensor& mean, const Tensor& inv_std,
              const Tensor& scale, const Tensor& d_scale, const Tensor& d_bias, const Tensor& dx,
              const Tensor& d_residual) {
  const BatchNormKernels& halves = *batch_norm_cuda;
  Tensor own;
  if (mask.defined()) invert(mask, own = Tensor::empty_like(mask));
  halves.reduce(dy, own, x, mean, inv_std, d_scale, d_bias);
  halves.apply_backward(dy, own, x, mean, inv_std, scale, d_scale, d_bias, x.numel() / mean.numel(), dx,
                        d_residual);
}

const BatchNormAtOnce kernels = {is_faster, forward, backward};

}  // namespace

const BatchNormAtOnce* const batch_norm_at_once_cuda = &kernels;

}  // namespace kindred
