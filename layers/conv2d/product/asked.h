// Which convolutions may be taken as products: what choice.cu and choice_emulated.cpp ask before they look at the time.
#pragma once

#include <kindred/layers/conv2d/product/product.h>

#include <cstdint>
#include <cstdlib>

namespace kindred::cuda {

// Off until it has been measured: a user sets the variable.
inline bool products_are_asked_for() {
  return std::getenv("KINDRED_PRODUCT") != nullptr;
}

inline bool can_be_product(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& y) {
  const auto fits = [](const Tensor& t) {
    return t.dtype() == DType::bf16 && reinterpret_cast<std::uintptr_t>(t.raw()) % 16 == 0;
  };
  return is_product(s) && product_fits(s.c, s.k) && fits(x) && fits(w) && fits(y);
}

}  // namespace kindred::cuda
