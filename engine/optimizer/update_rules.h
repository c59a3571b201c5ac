// What each optimizer does to one element. The arithmetic is written here once; the kernels of every device
// call it.
//
//   w value, g gradient, v velocity, lr learning rate, decay weight decay (0 if the parameter is exempt)
//
//   SGD      as torch.optim.SGD: g += decay w; v = momentum v + g (initially v = 0); w -= lr v, or with
//            Nesterov momentum w -= lr (g + momentum v).
//   LARS     You et al. 2017, "Large batch training of convolutional networks" (arXiv 1708.03888):
//            v = momentum v + lr rate (g + decay w); w -= v, where the layer's own rate is
//            eta |w| / (|g| + decay |w|), or 1 if a norm is 0 or the parameter is exempt.
//   RMSProp  as tf.compat.v1.train.RMSPropOptimizer, which the SupCon paper's linear stage uses: g += decay w;
//            s = rho s + (1 - rho) g^2; v = momentum v + lr g / sqrt(s + eps); w -= v.
//            Epsilon is inside the root, and the learning rate is applied before the momentum.
#pragma once

#include <kindred/engine/host_device.h>

#include <cmath>
#include <cstdint>

namespace kindred {

template <typename T>
struct SgdRule {
  T momentum;
  bool nesterov;

  KINDRED_HOST_DEVICE void operator()(T& w, T& v, T g, T lr, T decay) const {
    g += decay * w;
    v = momentum * v + g;
    w -= lr * (nesterov ? g + momentum * v : v);
  }
};

template <typename T>
struct LarsRule {
  T momentum;

  // `lr` is the learning rate times the layer's own rate.
  KINDRED_HOST_DEVICE void operator()(T& w, T& v, T g, T lr, T decay) const {
    v = momentum * v + lr * (g + decay * w);
    w -= v;
  }
};

template <typename T>
struct RmsPropRule {
  T rho, momentum, eps;

  KINDRED_HOST_DEVICE void operator()(T& w, T& v, T& s, T g, T lr, T decay) const {
    g += decay * w;
    s = rho * s + (1 - rho) * g * g;
    v = momentum * v + lr * g / std::sqrt(s + eps);
    w -= v;
  }
};

// Dynamic loss scaling for 16-bit gradients with 5 bits of exponent (Micikevicius et al. 2018, arXiv
// 1710.03740). The loss is multiplied by a scale before the backward pass, and the gradients are divided by it
// afterwards. If a gradient overflows, the step is skipped and the scale is halved; after two thousand good
// steps in a row the scale is doubled. The scale is a power of two, so scaling alone causes no rounding.
template <typename T>
struct LossScaleRule {
  enum Place { scale, inverse, good_steps, skipped_steps, places };  // indices in `state`
  static constexpr T first = 65536, smallest = 1, largest = 16777216, interval = 2000;

  // `flag` says what was not finite in the step. If it was only the gradients (`overflow`), a smaller scale may
  // help, and the flag is cleared. At the smallest scale, or if the loss is not finite, the flag stays set.
  KINDRED_HOST_DEVICE void operator()(T* state, std::int32_t& flag, std::int32_t overflow) const {
    if (flag == 0) {
      state[good_steps] += 1;
      if (state[good_steps] >= interval && state[scale] < largest) {
        state[scale] *= 2;
        state[good_steps] = 0;
      }
    } else if (flag == overflow && state[scale] > smallest) {
      state[scale] /= 2;
      state[good_steps] = 0;
      state[skipped_steps] += 1;
      flag = 0;
    }
    state[inverse] = 1 / state[scale];
  }
};

// How LARS measures the gradient.
enum class TrustNorm {
  separate,  // eta |w| / (|g| + decay |w|): the paper
  combined,  // eta |w| / |g + decay w|: Google's SimCLR and SupCon code
};

// A layer's own rate, from the squared norm of its weights and the squared norm of its gradient (with
// TrustNorm::combined, of g + decay w).
KINDRED_HOST_DEVICE inline double lars_rate(double w_squared, double g_squared, double eta, double decay,
                                            TrustNorm norm) {
  if (!(w_squared > 0) || !(g_squared > 0)) return 1;
  const double w = std::sqrt(w_squared), g = std::sqrt(g_squared);
  return eta * w / (norm == TrustNorm::combined ? g : g + decay * w);
}

}  // namespace kindred
