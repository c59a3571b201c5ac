// One pair of the max-margin loss. Reference, cpu and cuda share this arithmetic, because it is the whole
// definition.
#pragma once

#include <kindred/engine/host_device.h>

#include <cmath>

namespace kindred::max_margin_pair {

template <typename T>
struct Term {
  T loss;
  T derivative;  // with respect to the squared distance
};

template <typename T>
KINDRED_HOST_DEVICE inline Term<T> term(T squared, bool same_label, T margin) {
  if (same_label) return {squared / 2, T(0.5)};
  const T distance = std::sqrt(squared), inside = margin - distance;
  if (inside <= 0) return {T(0), T(0)};
  return {inside * inside / 2, distance > 0 ? -inside / (2 * distance) : T(0)};
}

}  // namespace kindred::max_margin_pair
