// Batch norm by cuDNN, for the shapes where it is faster than the kernels of cuda.cu.
#include <kindred/engine/cuda/launch.h>
#include <kindred/engine/error.h>
#include <kindred/layers/batch_norm/batch_norm.h>
#include <kindred/layers/batch_norm/fused.h>
#include <kindred/layers/batch_norm/kernels.h>
#include <kindred/third_party/cudnn/batch_norm.h>
#include <kindred/third_party/timing/gpu_timing.h>

namespace kindred {
namespace {

constexpr int threads = 256;

cudnn::BatchNormKey key_of(const Tensor& x, bool relu, bool residual) {
  const Shape& s = x.shape();
  return {x.dtype(), s[0], s[1], s[2], s[3], relu, residual};
}

// The time of both passes with the kernels of cuda.cu, in milliseconds.
float time_of_separate_kernels(const cudnn::BatchNormKey& key) {
  const cuda::ScratchMemory memory;
  const BatchNormKernels& kernels = *batch_norm_cuda;
  const Shape images{key.n, key.h, key.w, key.c};
  const auto image = [&] { return memory.random(images.numel(), key.dtype).reshape(images); };
  const auto channel = [&] { return memory.random(key.c, DType::f32); };
  const Tensor x = image(), y = image(), dy = image(), dx = image();
  const Tensor residual = key.residual ? image() : Tensor(), d_residual = key.residual ? image() : Tensor();
  const Tensor mask =
      key.relu ? Tensor::empty({mask_bytes(images.numel())}, DType::u8, Device::cuda) : Tensor();
  const Tensor scale = channel(), bias = channel(), mean = channel(), variance = channel(), inv_std = channel(),
               d_scale = channel(), d_bias = channel();
  const BatchNormChannels channels{mean, inv_std, scale, bias};
  const std::int64_t rows = images.numel() / key.c;
  const auto both = [&] {
    kernels.statistics_and_finish(x, batch_norm_epsilon, 0, rows, Output(mean), Output(variance),
                                  Output(inv_std), {}, {});
    kernels.apply(x, channels, residual, key.relu, Output(mask), Output(y));
    // With a residual the first pass writes the masked gradient, and the second reads it.
    const Tensor dz = key.relu ? d_residual : Tensor();
    kernels.reduce(dy, {}, mask, x, channels, Output(d_scale), Output(d_bias), Output(dz));
    kernels.apply_backward(dz.defined() ? dz : dy, dz.defined() ? Tensor() : mask, x, channels,
                           {d_scale, d_bias, rows}, Output(dx), {});
  };
  both();
  return cuda::time_on_gpu(both);
}

bool is_faster(const Tensor& x, bool relu, bool residual) {
  if (x.shape().back() % 8 != 0 || x.numel() < cudnn::worth_compiling) return false;
  const cudnn::BatchNormKey key = key_of(x, relu, residual);
  return cudnn::wins(key, [&key] { return time_of_separate_kernels(key); });
}

const cudnn::BatchNormPlans& plans_for(const Tensor& x, bool relu, bool residual) {
  const cudnn::BatchNormKey key = key_of(x, relu, residual);
  const cudnn::BatchNormPlans* plans = cudnn::plans_for(key);
  check(plans != nullptr, ExitCode::internal, "cuDNN has no plan for {}", key.to_string());
  return *plans;
}

// cuDNN returns 1 / sqrt(variance + epsilon), but the running statistics need the variance.
__global__ void variance_kernel(const float* inv_std, double epsilon, float* variance, std::int64_t channels) {
  const std::int64_t c = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (c >= channels) return;
  const double inverse = inv_std[c], v = 1 / (inverse * inverse) - epsilon;
  variance[c] = static_cast<float>(v < 0 ? 0.0 : v);
}

void forward(const Tensor& x, const Tensor& scale, const Tensor& bias, const Tensor& residual, Output mask,
             Output mean, Output variance, Output y) {
  const cudnn::BatchNormPlans& plans = plans_for(x, mask.defined(), residual.defined());
  const Tensor inv_std = Tensor::empty_like(mean);
  const auto epsilon = static_cast<float>(batch_norm_epsilon);
  const float zero = 0;
  std::vector<cudnn::Plan::Binding> bindings{{0, x.raw()},  {1, scale.raw()}, {2, bias.raw()},
                                             {3, &epsilon}, {4, mean.raw()},  {5, inv_std.raw()},
                                             {6, y.raw()}};
  if (mask.defined()) bindings.insert(bindings.end(), {{7, &zero}, {8, mask.raw()}});
  if (residual.defined()) bindings.emplace_back(9, residual.raw());
  cudnn::run(plans.forward, bindings);
  cuda::launch(variance_kernel, cuda::blocks_for(mean.numel(), threads), threads, inv_std.data<float>(),
               batch_norm_epsilon, variance.data<float>(), mean.numel());
}

void backward(const Tensor& dy, const Tensor& mask, const Tensor& x, const BatchNormChannels& channels,
              Output d_scale, Output d_bias, Output dx, Output d_residual) {
  const cudnn::BatchNormPlans& plans = plans_for(x, mask.defined(), d_residual.defined());
  std::vector<cudnn::Plan::Binding> bindings{{0, x.raw()},
                                             {1, channels.scale.raw()},
                                             {2, channels.mean.raw()},
                                             {3, channels.inv_std.raw()},
                                             {4, dy.raw()},
                                             {5, dx.raw()},
                                             {6, d_scale.raw()},
                                             {7, d_bias.raw()}};
  if (mask.defined()) bindings.emplace_back(8, mask.raw());
  if (d_residual.defined()) bindings.emplace_back(9, d_residual.raw());
  cudnn::run(plans.backward, bindings);
}

const FusedBatchNorm kernels = {is_faster, forward, backward};

}  // namespace

const FusedBatchNorm* const fused_batch_norm_cuda = &kernels;

}  // namespace kindred
