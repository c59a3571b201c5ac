#include <kindred/engine/kernels/dispatch.h>
#include <kindred/engine/optimizer/kernels.h>

namespace kindred {
namespace {

template <typename T>
void check_finite(const Tensor& values, std::int32_t bit, Output flag) {
  for (std::int64_t i = 0; i < values.numel(); ++i)
    if (!std::isfinite(values.data<T>()[i])) flag.data<std::int32_t>()[0] |= bit;
}

// Calls body(i, parameter) for every element i of every parameter, then updates the low-precision copy.
template <typename T, typename Body>
void each_element(const FlatParameters& flat, Body&& body) {
  if (flat.non_finite.data<std::int32_t>()[0] != 0) return;
  const auto* chunks = reinterpret_cast<const Chunk*>(flat.chunks.data<std::int32_t>());
  for (std::int64_t c = 0; c < flat.chunks.dim(0); ++c) {
    const std::int64_t first = chunks[c].first_granule * chunk_granule;
    for (std::int64_t i = first; i < first + chunks[c].elements; ++i) body(i, chunks[c].parameter);
  }
  if (flat.low.defined()) Tensor(flat.low).copy_from(flat.values);
}

template <typename T>
void sgd(const FlatParameters& flat, Output velocity, double momentum, bool nesterov) {
  const SgdRule<T> rule{T(momentum), nesterov};
  const T lr = flat.learning_rate.data<T>()[0], unscale = inverse_loss_scale<T>(flat);
  each_element<T>(flat, [&](std::int64_t i, std::int32_t p) {
    T no_velocity = 0;
    T& v = velocity.defined() ? velocity.data<T>()[i] : no_velocity;
    rule(flat.values.data<T>()[i], v, flat.gradients.data<T>()[i] * unscale, lr * rate_factor_of<T>(flat, p),
         flat.weight_decay.data<T>()[p]);
  });
}

template <typename T>
void rmsprop(const FlatParameters& flat, Output velocity, Output mean_square, double rho, double momentum,
             double eps) {
  const RmsPropRule<T> rule{T(rho), T(momentum), T(eps)};
  const T lr = flat.learning_rate.data<T>()[0], unscale = inverse_loss_scale<T>(flat);
  each_element<T>(flat, [&](std::int64_t i, std::int32_t p) {
    rule(flat.values.data<T>()[i], velocity.data<T>()[i], mean_square.data<T>()[i],
         flat.gradients.data<T>()[i] * unscale, lr * rate_factor_of<T>(flat, p),
         flat.weight_decay.data<T>()[p]);
  });
}

template <typename T>
void lars(const FlatParameters& flat, Output velocity, const Tensor& rates, double momentum) {
  const LarsRule<T> rule{T(momentum)};
  const T lr = flat.learning_rate.data<T>()[0], unscale = inverse_loss_scale<T>(flat);
  each_element<T>(flat, [&](std::int64_t i, std::int32_t p) {
    rule(flat.values.data<T>()[i], velocity.data<T>()[i], flat.gradients.data<T>()[i] * unscale,
         lr * rates.data<T>()[p], flat.weight_decay.data<T>()[p]);
  });
}

template <typename T>
void adamw_factors(const FlatParameters& flat, Output steps, double beta1, double beta2, Output factors) {
  if (flat.non_finite.data<std::int32_t>()[0] != 0) return;
  const std::int32_t step = steps.data<std::int32_t>()[0] += 1;
  AdamWFactors<T>::of_step(step, beta1, beta2).write(factors.data<T>());
}

template <typename T>
void adamw(const FlatParameters& flat, Output mean, Output mean_square, const Tensor& factors, double beta1,
           double beta2, double eps) {
  const AdamWRule<T> rule(beta1, beta2, eps);
  const auto of_step = AdamWFactors<T>::read(factors.data<T>());
  const T lr = flat.learning_rate.data<T>()[0], unscale = inverse_loss_scale<T>(flat);
  each_element<T>(flat, [&](std::int64_t i, std::int32_t p) {
    rule(flat.values.data<T>()[i], mean.data<T>()[i], mean_square.data<T>()[i],
         flat.gradients.data<T>()[i] * unscale, lr * rate_factor_of<T>(flat, p), flat.weight_decay.data<T>()[p],
         of_step);
  });
}

template <typename T>
void squared_norms(const FlatParameters& flat, TrustNorm norm, Output squares) {
  const auto* chunks = reinterpret_cast<const Chunk*>(flat.chunks.data<std::int32_t>());
  const T unscale = inverse_loss_scale<T>(flat);
  for (std::int64_t c = 0; c < flat.chunks.dim(0); ++c) {
    const std::int64_t first = chunks[c].first_granule * chunk_granule;
    const T decay = norm == TrustNorm::combined ? flat.weight_decay.data<T>()[chunks[c].parameter] : T{0};
    double w_squared = 0, g_squared = 0;
    for (std::int64_t i = first; i < first + chunks[c].elements; ++i) {
      const double w = flat.values.data<T>()[i];
      const double g = flat.gradients.data<T>()[i] * unscale + decay * w;
      w_squared += w * w;
      g_squared += g * g;
    }
    squares.data<double>()[2 * c] = w_squared;
    squares.data<double>()[2 * c + 1] = g_squared;
  }
}

template <typename T>
void lars_rates(const FlatParameters& flat, const Tensor& squares, double eta, TrustNorm norm, Output rates) {
  const auto* parameters = reinterpret_cast<const ParameterChunks*>(flat.parameters.data<std::int32_t>());
  for (std::int64_t p = 0; p < flat.parameters.dim(0); ++p) {
    double w_squared = 0, g_squared = 0;
    for (std::int32_t c = parameters[p].first_chunk; c < parameters[p].first_chunk + parameters[p].chunks;
         ++c) {
      w_squared += squares.data<double>()[2 * c];
      g_squared += squares.data<double>()[2 * c + 1];
    }
    const double decay = flat.weight_decay.data<T>()[p];
    const T adapted = parameters[p].adapted ? T(lars_rate(w_squared, g_squared, eta, decay, norm)) : T{1};
    rates.data<T>()[p] = adapted * rate_factor_of<T>(flat, p);
  }
}

}  // namespace

const OptimizerKernels optimizer_reference = {
    [](const Tensor& values, std::int32_t bit, Output flag) {
      dispatch_reference("check_finite", values.dtype(),
                         [&]<typename T>(T) { check_finite<T>(values, bit, flag); });
    },
    [](const FlatParameters& flat, Output velocity, double momentum, bool nesterov) {
      dispatch_reference("sgd", flat.values.dtype(),
                         [&]<typename T>(T) { sgd<T>(flat, velocity, momentum, nesterov); });
    },
    [](const FlatParameters& flat, Output velocity, Output mean_square, double rho, double momentum,
       double eps) {
      dispatch_reference("rmsprop", flat.values.dtype(),
                         [&]<typename T>(T) { rmsprop<T>(flat, velocity, mean_square, rho, momentum, eps); });
    },
    [](const FlatParameters& flat, Output velocity, const Tensor& rates, double momentum) {
      dispatch_reference("lars", flat.values.dtype(),
                         [&]<typename T>(T) { lars<T>(flat, velocity, rates, momentum); });
    },
    [](const FlatParameters& flat, Output steps, double beta1, double beta2, Output factors) {
      dispatch_reference("adamw", flat.values.dtype(),
                         [&]<typename T>(T) { adamw_factors<T>(flat, steps, beta1, beta2, factors); });
    },
    [](const FlatParameters& flat, Output mean, Output mean_square, const Tensor& factors, double beta1,
       double beta2, double eps) {
      dispatch_reference("adamw", flat.values.dtype(),
                         [&]<typename T>(T) { adamw<T>(flat, mean, mean_square, factors, beta1, beta2, eps); });
    },
    [](const FlatParameters& flat, TrustNorm norm, Output squares) {
      dispatch_reference("lars", flat.values.dtype(),
                         [&]<typename T>(T) { squared_norms<T>(flat, norm, squares); });
    },
    [](const FlatParameters& flat, const Tensor& squares, double eta, TrustNorm norm, Output rates) {
      dispatch_reference("lars", flat.values.dtype(),
                         [&]<typename T>(T) { lars_rates<T>(flat, squares, eta, norm, rates); });
    },
    [](const FlatParameters& flat, std::int32_t overflow) {
      dispatch_reference("loss scaling", flat.loss_scale.dtype(), [&]<typename T>(T) {
        LossScaleRule<T>()(flat.loss_scale.data<T>(), flat.non_finite.data<std::int32_t>()[0], overflow);
      });
    },
};

}  // namespace kindred
