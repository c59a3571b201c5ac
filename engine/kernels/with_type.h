// An element type that is known at run time, as a template argument; and how one type becomes another.
#pragma once

#include <kindred/engine/dtype.h>
#include <kindred/engine/host_device.h>

#include <cstdint>
#include <type_traits>

namespace kindred {

// Calls body(T{}) with the C++ type of `dtype`.
template <typename Body>
void with_type(DType dtype, Body&& body) {
  switch (dtype) {
    case DType::f32:
      return body(float{});
    case DType::f64:
      return body(double{});
    case DType::bf16:
      return body(BFloat16{});
    case DType::f16:
      return body(Float16{});
    case DType::u8:
      return body(std::uint8_t{});
    case DType::i32:
      return body(std::int32_t{});
  }
}

template <typename T>
constexpr bool is_half = std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>;

// The value in another element type. The 16-bit types convert by way of float.
template <typename To, typename From>
KINDRED_HOST_DEVICE To convert_element(From value) {
  if constexpr (std::is_same_v<To, From>)
    return value;
  else if constexpr (is_half<To> || is_half<From>)
    return static_cast<To>(static_cast<float>(value));
  else
    return static_cast<To>(value);
}

}  // namespace kindred
