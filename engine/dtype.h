// Element types, and the two 16-bit floats. Those two only store values; the arithmetic is in float.
#pragma once

#include <kindred/engine/host_device.h>

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace kindred {

enum class DType : std::uint8_t { f32, bf16, f16, f64, u8, i32 };

// Lower-case name as printed in messages and accepted on the command line: "f32", "bf16", ...
const char* name(DType dtype);

constexpr std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::bf16:
    case DType::f16:
      return 2;
    case DType::u8:
      return 1;
  }
  return 0;
}

// The upper half of a float: 8 bits of exponent, 7 of mantissa.
struct BFloat16 {
  std::uint16_t bits = 0;

  BFloat16() = default;
  // Rounds to nearest, ties to even; a NaN stays a NaN.
  KINDRED_HOST_DEVICE explicit BFloat16(float value) {
#ifdef __CUDA_ARCH__
    bits = __bfloat16_as_ushort(__float2bfloat16_rn(value));
#else
    const auto u = std::bit_cast<std::uint32_t>(value);
    const bool is_nan = (u & 0x7fffffffu) > 0x7f800000u;
    bits = is_nan ? static_cast<std::uint16_t>((u >> 16) | 0x40u)
                  : static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
#endif
  }
  KINDRED_HOST_DEVICE operator float() const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
};

// IEEE binary16: 5 bits of exponent, 10 of mantissa; the largest value is 65504, the smallest normal 2^-14.
struct Float16 {
  std::uint16_t bits = 0;

  Float16() = default;
  // Rounds to nearest, ties to even. Values beyond the range become infinite; a NaN stays a NaN.
  KINDRED_HOST_DEVICE explicit Float16(float value) {
#ifdef __CUDA_ARCH__
    bits = __half_as_ushort(__float2half_rn(value));
#else
    const auto u = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = (u >> 16) & 0x8000u, size = u & 0x7fffffffu;
    std::uint32_t result;
    if (size > 0x7f800000u) {
      result = 0x7e00u;
    } else if (size >= 0x47800000u) {  // 2^16
      result = 0x7c00u;
    } else if (size < 0x38800000u) {  // below 2^-14: multiples of 2^-24; adding 0.5 rounds to them
      result = std::bit_cast<std::uint32_t>(std::bit_cast<float>(size) + 0.5f) - 0x3f000000u;
    } else {  // changes the exponent's bias from 127 to 15
      result = (size + 0xfffu + ((size >> 13) & 1u) - (112u << 23)) >> 13;
    }
    bits = static_cast<std::uint16_t>(sign | result);
#endif
  }
  KINDRED_HOST_DEVICE operator float() const {
#ifdef __CUDA_ARCH__
    return __half2float(__ushort_as_half(bits));
#else
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000) << 16;
    const std::uint32_t exponent = (bits >> 10) & 31, mantissa = bits & 0x3ff;
    if (exponent == 0) {
      const float size = static_cast<float>(mantissa) * (1.0f / 16777216.0f);
      return sign ? -size : size;
    }
    const std::uint32_t wide = exponent == 31 ? 255 : exponent + 112;
    return std::bit_cast<float>(sign | (wide << 23) | (mantissa << 13));
#endif
  }
};

// The DType of a C++ type: dtype_of<float> == DType::f32.
template <typename T>
inline constexpr DType dtype_of = DType::f32;
template <>
inline constexpr DType dtype_of<double> = DType::f64;
template <>
inline constexpr DType dtype_of<BFloat16> = DType::bf16;
template <>
inline constexpr DType dtype_of<Float16> = DType::f16;
template <>
inline constexpr DType dtype_of<std::uint8_t> = DType::u8;
template <>
inline constexpr DType dtype_of<std::int32_t> = DType::i32;

}  // namespace kindred
