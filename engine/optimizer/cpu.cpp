// One pass over memory for each update: values, gradients and state are read and written once, on all cores.
// These loops are memory-bound, so plain loops that the compiler vectorises are as fast as possible.
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/kernels/dispatch.h>
#include <kindred/engine/optimizer/kernels.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <kindred/engine/optimizer/cpu.cpp>
#include <hwy/foreach_target.h>  // compiles this file for the other kinds of vectors
#include <kindred/engine/cpu/vectors.h>

HWY_BEFORE_NAMESPACE();
namespace kindred::HWY_NAMESPACE {
namespace {

// It uses doubles, because squares of
// small gradients underflow in float, and a norm of 0 has a special meaning.
void sum_squares(const float* w, const float* g, float unscale, std::int64_t count, float decay,
                 double* w_squared, double* g_squared) {
  double w_sum = 0, g_sum = 0;
#pragma omp simd reduction(+ : w_sum, g_sum)
  for (std::int64_t i = 0; i < count; ++i) {
    const double wi = w[i], gi = g[i] * unscale + decay * w[i];
    w_sum += wi * wi;
    g_sum += gi * gi;
  }
  *w_squared = w_sum;
  *g_squared = g_sum;
}

}  // namespace
}  // namespace kindred::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kindred {
namespace {

HWY_EXPORT(sum_squares);

void check_finite(const Tensor& values, std::int32_t bit, Output flag) {
  const float* v = values.data<float>();
  std::vector<std::uint32_t> found(static_cast<std::size_t>(compute_threads()), 0);
  parallel_ranges(values.numel(), 65536, [&](int range, std::int64_t begin, std::int64_t end) {
    // An exponent of all ones means infinity or NaN. Integers are used because the compiler may reorder their
    // OR, and so can vectorise the loop.
    constexpr std::uint32_t exponent = 0x7f800000u;
    std::uint32_t any = 0;
    for (std::int64_t i = begin; i < end; ++i)
      any |= (std::bit_cast<std::uint32_t>(v[i]) & exponent) == exponent;
    found[static_cast<std::size_t>(range)] = any;
  });
  for (const std::uint32_t any : found)
    if (any != 0) flag.data<std::int32_t>()[0] |= bit;
}

// Calls body(first, last, parameter), on all cores, for ranges that fit the L1 cache. Then updates the
// low-precision copy of the range, while its values are still in the cache.
template <typename Body>
void each_stretch(const FlatParameters& flat, Body&& body) {
  constexpr std::int64_t stretch = 2048;
  if (flat.non_finite.data<std::int32_t>()[0] != 0) return;
  const auto* chunks = reinterpret_cast<const Chunk*>(flat.chunks.data<std::int32_t>());
  const float* values = flat.values.data<float>();
  BFloat16* low = flat.low.defined() ? flat.low.data<BFloat16>() : nullptr;
  parallel_for(flat.chunks.dim(0), 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) {
      const std::int64_t start = chunks[c].first_granule * chunk_granule, stop = start + chunks[c].elements;
      for (std::int64_t first = start; first < stop; first += stretch) {
        const std::int64_t last = std::min(stop, first + stretch);
        body(first, last, chunks[c].parameter);
        if (low == nullptr) continue;
        for (std::int64_t i = first; i < last; ++i) low[i] = BFloat16(values[i]);
      }
    }
  });
}

void sgd(const FlatParameters& flat, Output velocity, double momentum, bool nesterov) {
  const SgdRule<float> rule{float(momentum), nesterov};
  const float lr = flat.learning_rate.data<float>()[0], unscale = inverse_loss_scale<float>(flat);
  const float* decays = flat.weight_decay.data<float>();
  float* w = flat.values.data<float>();
  const float* g = flat.gradients.data<float>();
  float* v = velocity.defined() ? velocity.data<float>() : nullptr;
  each_stretch(flat, [=, &flat](std::int64_t first, std::int64_t last, std::int32_t parameter) {
    const float decay = decays[parameter], own_lr = lr * rate_factor_of<float>(flat, parameter);
    if (v == nullptr) {
      for (std::int64_t i = first; i < last; ++i) {
        float no_velocity = 0;
        rule(w[i], no_velocity, g[i] * unscale, own_lr, decay);
      }
      return;
    }
#pragma omp simd
    for (std::int64_t i = first; i < last; ++i) rule(w[i], v[i], g[i] * unscale, own_lr, decay);
  });
}

void rmsprop(const FlatParameters& flat, Output velocity, Output mean_square, double rho, double momentum,
             double eps) {
  const RmsPropRule<float> rule{float(rho), float(momentum), float(eps)};
  const float lr = flat.learning_rate.data<float>()[0], unscale = inverse_loss_scale<float>(flat);
  const float* decays = flat.weight_decay.data<float>();
  float* w = flat.values.data<float>();
  float* v = velocity.data<float>();
  float* s = mean_square.data<float>();
  const float* g = flat.gradients.data<float>();
  each_stretch(flat, [=, &flat](std::int64_t first, std::int64_t last, std::int32_t parameter) {
    const float decay = decays[parameter], own_lr = lr * rate_factor_of<float>(flat, parameter);
#pragma omp simd
    for (std::int64_t i = first; i < last; ++i) rule(w[i], v[i], s[i], g[i] * unscale, own_lr, decay);
  });
}

void adamw(const FlatParameters& flat, Output mean, Output mean_square, const Tensor& factors_of_step,
           double beta1, double beta2, double eps) {
  const AdamWRule<float> rule(beta1, beta2, eps);
  const auto of_step = AdamWFactors<float>::read(factors_of_step.data<float>());
  const float lr = flat.learning_rate.data<float>()[0], unscale = inverse_loss_scale<float>(flat);
  const float* decays = flat.weight_decay.data<float>();
  float* w = flat.values.data<float>();
  float* m = mean.data<float>();
  float* s = mean_square.data<float>();
  const float* g = flat.gradients.data<float>();
  each_stretch(flat, [=, &flat](std::int64_t first, std::int64_t last, std::int32_t parameter) {
    const float decay = decays[parameter], own_lr = lr * rate_factor_of<float>(flat, parameter);
#pragma omp simd
    for (std::int64_t i = first; i < last; ++i) rule(w[i], m[i], s[i], g[i] * unscale, own_lr, decay, of_step);
  });
}

void lars(const FlatParameters& flat, Output velocity, const Tensor& rates, double momentum) {
  const LarsRule<float> rule{float(momentum)};
  const float lr = flat.learning_rate.data<float>()[0], unscale = inverse_loss_scale<float>(flat);
  const float* decays = flat.weight_decay.data<float>();
  const float* rate = rates.data<float>();
  float* w = flat.values.data<float>();
  float* v = velocity.data<float>();
  const float* g = flat.gradients.data<float>();
  each_stretch(flat, [=](std::int64_t first, std::int64_t last, std::int32_t parameter) {
    const float decay = decays[parameter], layer_lr = lr * rate[parameter];
#pragma omp simd
    for (std::int64_t i = first; i < last; ++i) rule(w[i], v[i], g[i] * unscale, layer_lr, decay);
  });
}

void squared_norms(const FlatParameters& flat, TrustNorm norm, Output squares) {
  const auto* chunks = reinterpret_cast<const Chunk*>(flat.chunks.data<std::int32_t>());
  const float* decays = flat.weight_decay.data<float>();
  const float* w = flat.values.data<float>();
  const float* g = flat.gradients.data<float>();
  double* sums = squares.data<double>();
  const float unscale = inverse_loss_scale<float>(flat);
  const auto sum = KINDRED_FOR_TARGET(sum_squares);
  parallel_for(flat.chunks.dim(0), 4, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) {
      const std::int64_t first = chunks[c].first_granule * chunk_granule;
      const float decay = norm == TrustNorm::combined ? decays[chunks[c].parameter] : 0.0f;
      sum(w + first, g + first, unscale, chunks[c].elements, decay, sums + 2 * c, sums + 2 * c + 1);
    }
  });
}

void check_type(const FlatParameters& flat) {
  check(flat.values.dtype() == DType::f32, ExitCode::usage, Cause::needs_reference,
        "the optimizers on device cpu update f32 parameters, not {}", name(flat.values.dtype()));
}

}  // namespace

const OptimizerKernels optimizer_cpu = {
    [](const Tensor& values, std::int32_t bit, Output flag) {
      // Here the value may be an f64 loss or a reduction in a test. Only gradients are long enough to need
      // speed.
      if (values.dtype() == DType::f32)
        check_finite(values, bit, flag);
      else
        optimizer_reference.check_finite(values, bit, flag);
    },
    [](const FlatParameters& flat, Output velocity, double momentum, bool nesterov) {
      check_type(flat);
      sgd(flat, velocity, momentum, nesterov);
    },
    [](const FlatParameters& flat, Output velocity, Output mean_square, double rho, double momentum,
       double eps) {
      check_type(flat);
      rmsprop(flat, velocity, mean_square, rho, momentum, eps);
    },
    [](const FlatParameters& flat, Output velocity, const Tensor& rates, double momentum) {
      check_type(flat);
      lars(flat, velocity, rates, momentum);
    },
    [](const FlatParameters& flat, Output steps, double beta1, double beta2, Output factors) {
      check_type(flat);
      optimizer_reference.adamw_factors(flat, steps, beta1, beta2, factors);
    },
    [](const FlatParameters& flat, Output mean, Output mean_square, const Tensor& factors, double beta1,
       double beta2, double eps) {
      check_type(flat);
      adamw(flat, mean, mean_square, factors, beta1, beta2, eps);
    },
    [](const FlatParameters& flat, TrustNorm norm, Output squares) {
      check_type(flat);
      squared_norms(flat, norm, squares);
    },
    // There are only a few hundred parameters, so plain loops are enough.
    [](const FlatParameters& flat, const Tensor& squares, double eta, TrustNorm norm, Output rates) {
      check_type(flat);
      optimizer_reference.lars_rates(flat, squares, eta, norm, rates);
    },
    [](const FlatParameters& flat, std::int32_t overflow) {
      optimizer_reference.adjust_loss_scale(flat, overflow);
    },
};

}  // namespace kindred
#endif
