// Computes the loss of an anchor, and the three numbers of its gradient (kernels.h), from the sums over its
// contrasts. The cpu and cuda kernels share this part. It is short, so all of it is in double.
#pragma once

#include <kindred/engine/host_device.h>
#include <kindred/losses/supcon/kernels.h>

#include <cmath>
#include <limits>

namespace kindred::supcon_anchor {

// The logarithm of a sum of exponentials that is put together from parts, each with its own maximum.
struct LogSum {
  double maximum = -std::numeric_limits<double>::infinity();
  double sum = 0;  // of exp(x - maximum)

  KINDRED_HOST_DEVICE void add(double part_maximum, double part_sum) {
    if (part_sum == 0) return;  // an empty part, whose maximum is -inf
    if (part_maximum > maximum) {
      sum = sum * std::exp(maximum - part_maximum) + part_sum;
      maximum = part_maximum;
    } else {
      sum += part_sum * std::exp(part_maximum - maximum);
    }
  }
  KINDRED_HOST_DEVICE void add(double x) { add(x, 1); }
  KINDRED_HOST_DEVICE double value() const { return maximum + std::log(sum); }  // -inf for an empty sum
};

// log(1 + e^x)
KINDRED_HOST_DEVICE inline double softplus(double x) {
  return (x > 0 ? x : 0) + std::log1p(std::exp(-std::abs(x)));
}

struct Sums {
  LogSum positive, negative;  // log E+ and log E-
  double positive_logits = 0;
  std::int32_t positives = 0, negatives = 0;
};

// What the denominator one_positive needs in addition: sums over the positives that can only be computed when
// E- is known. With log t = -softplus(log E- - s):
struct PositiveSums {
  double log_t = 0;
  LogSum first;   // out: of 1 - t; in: of t
  LogSum second;  // in: of t (1 - t)

  KINDRED_HOST_DEVICE void add(double logit, double log_negative, SupConVariant variant) {
    const double log_one = -softplus(log_negative - logit), log_rest = -softplus(logit - log_negative);
    log_t += log_one;
    first.add(variant == SupConVariant::out ? log_rest : log_one);
    if (variant == SupConVariant::in) second.add(log_one + log_rest);
  }
};

struct Result {
  double lse = -std::numeric_limits<double>::infinity();
  double loss = 0;
  double weight = std::numeric_limits<double>::infinity(), second = weight, share = 0;
};

KINDRED_HOST_DEVICE inline bool needs_positive_sums(const SupConFormula& formula) {
  return formula.denominator == SupConDenominator::one_positive;
}

// Implements the table of kernels.h.
KINDRED_HOST_DEVICE inline Result finish(const Sums& sums, const PositiveSums& over, SupConVariant variant,
                                         SupConDenominator denominator) {
  Result result;
  result.share = static_cast<double>(no_share(pull_of(variant, denominator)));
  LogSum both = sums.positive;
  both.add(sums.negative.maximum, sums.negative.sum);
  result.lse = both.value();
  if (sums.positives == 0) return result;
  if (denominator != SupConDenominator::all && sums.negatives == 0) return result;
  const bool out = variant == SupConVariant::out;
  const double count = sums.positives, log_negative = sums.negative.value();
  if (denominator == SupConDenominator::one_positive) {
    const double total = over.first.value();
    result.second = log_negative;
    result.loss = out ? -over.log_t / count : std::log(count) - total;
    result.weight = out ? log_negative - total + std::log(count) : log_negative - over.second.value() + total;
    result.share = out ? 1 / count : total;
    return result;
  }
  result.weight = denominator == SupConDenominator::all ? result.lse : log_negative;
  result.second = out ? 0 : sums.positive.value();
  result.share = out ? 1 / count : 1;
  result.loss = result.weight - (out ? sums.positive_logits / count : result.second - std::log(count));
  return result;
}

}  // namespace kindred::supcon_anchor
