// One pass over memory for each update, in one launch however many parameters there are. A block takes one
// chunk of the table, looks up the parameter's weight decay and rate, and updates values, state and the
// low-precision copy. The update is memory-bound, so everything moves in packs of four floats.
//
// The last pack of a parameter may reach into the padding after it. The padding is zero in values, gradients
// and velocity. Every rule leaves it zero, and it adds nothing to a norm.
#include <kindred/engine/cuda/launch.h>
#include <kindred/engine/optimizer/kernels.h>

#include <cmath>

namespace kindred {
namespace {

using namespace cuda;

constexpr int threads = 256;
constexpr int width = 4;  // floats per pack; chunks start aligned: chunk_granule floats are 256 bytes
using Floats = Pack<float, width>;

__device__ Floats load(const float* from) {
  return *reinterpret_cast<const Floats*>(from);
}
__device__ void store(float* to, const Floats& pack) {
  *reinterpret_cast<Floats*>(to) = pack;
}

constexpr int checked_per_thread = 16;

template <typename T>
__global__ void check_finite_kernel(const T* values, std::int64_t count, std::int32_t bit, std::int32_t* flag) {
  const std::int64_t first = std::int64_t{blockIdx.x} * threads * checked_per_thread + threadIdx.x;
  bool found = false;
#pragma unroll
  for (int i = 0; i < checked_per_thread; ++i) {
    const std::int64_t at = first + i * threads;
    if (at < count) found |= !std::isfinite(static_cast<float>(values[at]));
  }
  const bool any = __ballot_sync(all_lanes, found) != 0;
  if (any && threadIdx.x % warp == 0) atomicOr(flag, bit);
}

void check_finite(const Tensor& values, std::int32_t bit, Output flag) {
  dispatch_cuda("check_finite", values.dtype(), [&]<typename T>(T) {
    launch(check_finite_kernel<T>, blocks_for(values.numel(), threads * checked_per_thread), threads,
           values.data<T>(), values.numel(), bit, flag.data<std::int32_t>());
  });
}

// FlatParameters in the form that kernels use.
struct Flat {
  float* values;
  const float* gradients;
  const Chunk* chunks;
  const ParameterChunks* parameters;
  const float *weight_decay, *learning_rate;
  const std::int32_t* non_finite;
  const float* loss_scale;   // or null
  const float* rate_factor;  // [parameters], or null

  __device__ float unscale() const {
    return loss_scale != nullptr ? loss_scale[LossScaleRule<float>::inverse] : 1.0f;
  }
};

Flat flat_of(const FlatParameters& flat) {
  check(flat.values.dtype() == DType::f32, ExitCode::usage, Cause::needs_reference,
        "the optimizers on device cuda update f32 parameters, not {}", name(flat.values.dtype()));
  return {flat.values.data<float>(),
          flat.gradients.data<float>(),
          reinterpret_cast<const Chunk*>(flat.chunks.data<std::int32_t>()),
          reinterpret_cast<const ParameterChunks*>(flat.parameters.data<std::int32_t>()),
          flat.weight_decay.data<float>(),
          flat.learning_rate.data<float>(),
          flat.non_finite.data<std::int32_t>(),
          flat.loss_scale.defined() ? flat.loss_scale.data<float>() : nullptr,
          flat.rate_factor.defined() ? flat.rate_factor.data<float>() : nullptr};
}

// The state that a rule keeps for each element: none, the velocity or mean, or this and the mean square.
template <int count>
struct State {
  float* at[count == 0 ? 1 : count];
};

// `low` may be null. `rates` may be null too; they are factors of the learning rate, [parameters]. LARS's include
// those of Flat.
template <typename Rule, int states, typename Low>
__global__ void update_kernel(Rule rule, Flat flat, State<states> state, const float* rates, Low* low) {
  if (*flat.non_finite != 0) return;
  const Chunk chunk = flat.chunks[blockIdx.x];
  const float decay = flat.weight_decay[chunk.parameter];
  const float lr = *flat.learning_rate * (rates != nullptr ? rates[chunk.parameter] : 1.0f);
  const float unscale = flat.unscale();
  const std::int64_t begin = chunk.first_granule * chunk_granule, end = begin + chunk.elements;
  for (std::int64_t at = begin + width * static_cast<int>(threadIdx.x); at < end; at += width * threads) {
    Floats w = load(flat.values + at), s[2] = {};
    const Floats g = load(flat.gradients + at);
    for (int i = 0; i < states; ++i) s[i] = load(state.at[i] + at);
    for (int j = 0; j < width; ++j) {
      if constexpr (states == 2)
        rule(w.element[j], s[0].element[j], s[1].element[j], g.element[j] * unscale, lr, decay);
      else
        rule(w.element[j], s[0].element[j], g.element[j] * unscale, lr, decay);
    }
    store(flat.values + at, w);
    for (int i = 0; i < states; ++i) store(state.at[i] + at, s[i]);
    if (low == nullptr) continue;
    Pack<Low, width> rounded;
    for (int j = 0; j < width; ++j) rounded.element[j] = Low(w.element[j]);
    *reinterpret_cast<Pack<Low, width>*>(low + at) = rounded;
  }
}

template <int states, typename Rule>
void update(const FlatParameters& flat, const Rule& rule, const State<states>& state, const float* rates) {
  const Flat pointers = flat_of(flat);
  const dim3 grid = blocks_for(flat.chunks.dim(0), 1);
  if (flat.low.defined() && flat.low.dtype() == DType::f16)
    launch(update_kernel<Rule, states, Float16>, grid, threads, rule, pointers, state, rates,
           flat.low.data<Float16>());
  else
    launch(update_kernel<Rule, states, BFloat16>, grid, threads, rule, pointers, state, rates,
           flat.low.defined() ? flat.low.data<BFloat16>() : nullptr);
}

void sgd(const FlatParameters& flat, Output velocity, double momentum, bool nesterov) {
  const SgdRule<float> rule{static_cast<float>(momentum), nesterov};
  const float* rates = flat_of(flat).rate_factor;
  if (velocity.defined())
    update(flat, rule, State<1>{velocity.data<float>()}, rates);
  else
    update(flat, rule, State<0>{}, rates);
}

void rmsprop(const FlatParameters& flat, Output velocity, Output mean_square, double rho, double momentum,
             double eps) {
  const RmsPropRule<float> rule{static_cast<float>(rho), static_cast<float>(momentum), static_cast<float>(eps)};
  update(flat, rule, State<2>{velocity.data<float>(), mean_square.data<float>()}, flat_of(flat).rate_factor);
}

void lars(const FlatParameters& flat, Output velocity, const Tensor& rates, double momentum) {
  const LarsRule<float> rule{static_cast<float>(momentum)};
  update(flat, rule, State<1>{velocity.data<float>()}, rates.data<float>());
}

// AdamW's rule with the factors of the step, which are known only on the device.
struct AdamWStep {
  AdamWRule<float> rule;
  const float* factors;

  __device__ void operator()(float& w, float& m, float& s, float g, float lr, float decay) const {
    rule(w, m, s, g, lr, decay, AdamWFactors<float>::read(factors));
  }
};

__global__ void adamw_factors_kernel(const std::int32_t* non_finite, std::int32_t* steps, double beta1,
                                     double beta2, float* factors) {
  if (*non_finite != 0) return;
  *steps += 1;
  AdamWFactors<float>::of_step(*steps, beta1, beta2).write(factors);
}

void adamw_factors(const FlatParameters& flat, Output steps, double beta1, double beta2, Output factors) {
  launch(adamw_factors_kernel, dim3(1), 1, flat.non_finite.data<std::int32_t>(), steps.data<std::int32_t>(),
         beta1, beta2, factors.data<float>());
}

void adamw(const FlatParameters& flat, Output mean, Output mean_square, const Tensor& factors, double beta1,
           double beta2, double eps) {
  const AdamWStep step{AdamWRule<float>(beta1, beta2, eps), factors.data<float>()};
  update(flat, step, State<2>{mean.data<float>(), mean_square.data<float>()}, flat_of(flat).rate_factor);
}

__device__ double warp_sum_of_doubles(double value) {
  for (int step = warp / 2; step > 0; step /= 2) value += __shfl_xor_sync(all_lanes, value, step);
  return value;
}

// Doubles, because squares of small gradients underflow in float, and a norm of 0 has a special meaning.
__global__ void squared_norms_kernel(Flat flat, bool combined, double* squares) {
  __shared__ double partial[2][threads / warp];
  const Chunk chunk = flat.chunks[blockIdx.x];
  const double decay = combined ? flat.weight_decay[chunk.parameter] : 0.0f, unscale = flat.unscale();
  const std::int64_t begin = chunk.first_granule * chunk_granule, end = begin + chunk.elements;
  double w_squared = 0, g_squared = 0;
#pragma unroll 2
  for (std::int64_t at = begin + width * static_cast<int>(threadIdx.x); at < end; at += width * threads) {
    const Floats values = load(flat.values + at), gradients = load(flat.gradients + at);
    for (int j = 0; j < width; ++j) {
      const double w = values.element[j], g = gradients.element[j] * unscale + decay * w;
      w_squared += w * w;
      g_squared += g * g;
    }
  }
  w_squared = warp_sum_of_doubles(w_squared);
  g_squared = warp_sum_of_doubles(g_squared);
  if (threadIdx.x % warp == 0) {
    partial[0][threadIdx.x / warp] = w_squared;
    partial[1][threadIdx.x / warp] = g_squared;
  }
  __syncthreads();
  if (threadIdx.x >= 2) return;
  double sum = 0;
  for (int i = 0; i < threads / warp; ++i) sum += partial[threadIdx.x][i];
  squares[2 * blockIdx.x + threadIdx.x] = sum;
}

void squared_norms(const FlatParameters& flat, TrustNorm norm, Output squares) {
  launch(squared_norms_kernel, blocks_for(flat.chunks.dim(0), 1), threads, flat_of(flat),
         norm == TrustNorm::combined, squares.data<double>());
}

// One warp for each parameter.
__global__ void lars_rates_kernel(Flat flat, const double* squares, double eta, TrustNorm norm, float* rates,
                                  std::int64_t parameters) {
  const std::int64_t p = (std::int64_t{blockIdx.x} * threads + threadIdx.x) / warp;
  if (p >= parameters) return;  // true for the whole warp
  const int lane = static_cast<int>(threadIdx.x) % warp;
  const ParameterChunks parameter = flat.parameters[p];
  double w_squared = 0, g_squared = 0;
  for (std::int64_t c = lane; c < parameter.chunks; c += warp) {
    w_squared += squares[2 * (parameter.first_chunk + c)];
    g_squared += squares[2 * (parameter.first_chunk + c) + 1];
  }
  w_squared = warp_sum_of_doubles(w_squared);
  g_squared = warp_sum_of_doubles(g_squared);
  if (lane > 0) return;
  const double rate = lars_rate(w_squared, g_squared, eta, flat.weight_decay[p], norm);
  const float adapted = parameter.adapted ? static_cast<float>(rate) : 1.0f;
  rates[p] = flat.rate_factor != nullptr ? adapted * flat.rate_factor[p] : adapted;
}

void lars_rates(const FlatParameters& flat, const Tensor& squares, double eta, TrustNorm norm, Output rates) {
  const std::int64_t parameters = flat.parameters.dim(0);
  launch(lars_rates_kernel, blocks_for(parameters, threads / warp), threads, flat_of(flat),
         squares.data<double>(), eta, norm, rates.data<float>(), parameters);
}

__global__ void adjust_loss_scale_kernel(float* state, std::int32_t* flag, std::int32_t overflow) {
  LossScaleRule<float>()(state, *flag, overflow);
}

void adjust_loss_scale(const FlatParameters& flat, std::int32_t overflow) {
  launch(adjust_loss_scale_kernel, dim3(1), 1, flat.loss_scale.data<float>(),
         flat.non_finite.data<std::int32_t>(), overflow);
}

const OptimizerKernels kernels = {check_finite,  sgd,        rmsprop,          lars, adamw_factors, adamw,
                                  squared_norms, lars_rates, adjust_loss_scale};

}  // namespace

const OptimizerKernels* const optimizer_cuda = &kernels;

}  // namespace kindred
