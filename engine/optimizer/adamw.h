// What AdamW does to one element, and what it takes from the number of the step. Loshchilov & Hutter 2019, "Decoupled
// weight decay regularization" (arXiv 1711.05101), as torch.optim.AdamW. The kernels of every device call it.
//
//   w value, g gradient, m mean of the gradients, s mean of their squares (both 0 at first), t number of the step
//   (the first is 1), lr learning rate, decay weight decay (0 if the parameter is exempt)
//
//   w -= lr decay w
//   m = beta1 m + (1 - beta1) g;  s = beta2 s + (1 - beta2) g^2
//   w -= lr (m / (1 - beta1^t)) / (sqrt(s / (1 - beta2^t)) + eps)
//
// The decay does not pass through the means, and epsilon is outside the root. A step that makes no update does not
// count in t.
#pragma once

#include <kindred/engine/host_device.h>

#include <cmath>
#include <cstdint>

namespace kindred {

// The means are too small at first, because they start at 0. With r = sqrt(1 - beta2^t), the last line above is
//   w -= lr (r / (1 - beta1^t)) m / (sqrt(s) + eps r)
template <typename T>
struct AdamWFactors {
  enum Place { rate, root, places };  // indices in a tensor of them

  T of_rate;  // r / (1 - beta1^t)
  T of_eps;   // r

  // In double, because 1 - beta2^t has few digits in float.
  KINDRED_HOST_DEVICE static AdamWFactors of_step(std::int32_t t, double beta1, double beta2) {
    const double steps = t, r = std::sqrt(1 - std::pow(beta2, steps));
    return {static_cast<T>(r / (1 - std::pow(beta1, steps))), static_cast<T>(r)};
  }
  KINDRED_HOST_DEVICE static AdamWFactors read(const T* tensor) { return {tensor[rate], tensor[root]}; }
  KINDRED_HOST_DEVICE void write(T* tensor) const {
    tensor[rate] = of_rate;
    tensor[root] = of_eps;
  }
};

template <typename T>
struct AdamWRule {
  T beta1, rest1, beta2, rest2,
      eps;  // rest1 = 1 - beta1, rest2 = 1 - beta2: exact, as they would not be in float

  AdamWRule(double keep_mean, double keep_square, double epsilon)
      : beta1(static_cast<T>(keep_mean)),
        rest1(static_cast<T>(1 - keep_mean)),
        beta2(static_cast<T>(keep_square)),
        rest2(static_cast<T>(1 - keep_square)),
        eps(static_cast<T>(epsilon)) {}

  KINDRED_HOST_DEVICE void operator()(T& w, T& m, T& s, T g, T lr, T decay,
                                      const AdamWFactors<T>& factors) const {
    w -= lr * decay * w;
    m = beta1 * m + rest1 * g;
    s = beta2 * s + rest2 * g * g;
    w -= lr * factors.of_rate * m / (std::sqrt(s) + eps * factors.of_eps);
  }
};

}  // namespace kindred
