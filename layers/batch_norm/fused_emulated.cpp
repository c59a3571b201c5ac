// cuDNN has no emulation. For some shapes the separate kernels of cuda.cu replace it here, with a mask that
// only these two functions can read.
#define KINDRED_EMULATE
#include <kindred/engine/cuda/launch.h>
#include <kindred/layers/batch_norm/batch_norm.h>
#include <kindred/layers/batch_norm/fused.h>
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

void invert(const Tensor& mask, Output inverted) {
  cuda::launch(invert_kernel, cuda::blocks_for(mask.numel(), 32), 32, mask.data<std::uint8_t>(),
               inverted.data<std::uint8_t>(), mask.numel());
}

void forward(const Tensor& x, const Tensor& scale, const Tensor& bias, const Tensor& residual, Output mask,
             Output mean, Output variance, Output y) {
  const BatchNormKernels& separate = *batch_norm_cuda;
  const Tensor inv_std = Tensor::empty_like(mean);
  separate.statistics_and_finish(x, batch_norm_epsilon, 0, x.numel() / mean.numel(), mean, variance,
                                 Output(inv_std), {}, {});
  separate.apply(x, {mean, inv_std, scale, bias}, residual, mask.defined(), mask, y);
  if (mask.defined()) invert(mask, mask);
}

void backward(const Tensor& dy, const Tensor& mask, const Tensor& x, const BatchNormChannels& channels,
              Output d_scale, Output d_bias, Output dx, Output d_residual) {
  const BatchNormKernels& separate = *batch_norm_cuda;
  Tensor own;
  if (mask.defined()) {
    own = Tensor::empty_like(mask);
    invert(mask, Output(own));
  }
  separate.reduce(dy, {}, own, x, channels, d_scale, d_bias, {});
  separate.apply_backward(dy, own, x, channels, {d_scale, d_bias, x.numel() / d_scale.numel()}, dx, d_residual);
}

const FusedBatchNorm kernels = {is_faster, forward, backward};

}  // namespace

const FusedBatchNorm* const fused_batch_norm_cuda = &kernels;

}  // namespace kindred
