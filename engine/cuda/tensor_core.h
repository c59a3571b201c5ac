// What a tensor core of Hopper makes of eight products and a sum, to the bit, in plain C++: the emulation's
// stand-in for the instruction of mma.h.
//
// A tensor core does not round as a processor does. It lines up its eight products and the sum so far by the
// largest exponent among them, keeps two bits below the last that a float of that exponent has, drops what lies
// lower, adds exactly, and drops again what a float cannot hold. Both times it drops toward zero. So a sum that
// goes through many instructions shrinks, by half a unit in the last place each time on average, where rounding
// errs both ways.
//
// Source: Khattak and Mikaitis, "Accurate Models of NVIDIA Tensor Cores", arXiv 2512.07004. The authors publish
// 5,000 sums in tf32, of four products each, that an H200 made, and 5,000 of an H100: this gives the same bits
// for all.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace kindred::cuda::emulated {

// Factors as a tensor core reads them: floats without their last 13 bits.
struct Factors {
  static constexpr int count = 8;
  // Exponents beyond those of all other products, also where the two meet.
  static constexpr int of_zero = -1000, of_infinity = 2000;  // and of NaN

  double value[count] = {};
  int exponent[count] = {of_zero, of_zero, of_zero, of_zero, of_zero, of_zero, of_zero, of_zero};

  void set(int k, float x) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(x) & 0xffffe000u;
    const auto read = std::bit_cast<float>(bits);
    value[k] = static_cast<double>(read);
    exponent[k] = read == 0 ? of_zero : std::isfinite(read) ? exponent_of(bits) : of_infinity;
  }
  // Numbers below 2^-126 have the exponent -126 too.
  static int exponent_of(std::uint32_t bits) { return std::max(static_cast<int>(bits >> 23 & 0xff), 1) - 127; }
};

inline double power_of_two(int n) {  // -1022 <= n <= 1023
  return std::bit_cast<double>(static_cast<std::uint64_t>(1023 + n) << 52);
}

// c + a[0] b[0] + ... + a[7] b[7]
inline float tensor_core_sum(float c, const Factors& a, const Factors& b) {
  constexpr int places = 23 + 2;  // bits that are kept below the one of the largest exponent,
  constexpr int least = -133;     // which is at least this
  int exponent = Factors::of_zero;
  for (int k = 0; k < Factors::count; ++k) exponent = std::max(exponent, a.exponent[k] + b.exponent[k]);
  if (exponent < 2 * -126) return c;  // every product is zero
  double product[Factors::count];
  for (int k = 0; k < Factors::count; ++k) product[k] = a.value[k] * b.value[k];
  if (exponent > 2 * 127 || !std::isfinite(c)) {
    double sum = static_cast<double>(c);
    for (const double p : product) sum += p;
    return static_cast<float>(sum);
  }
  if (c != 0) exponent = std::max(exponent, Factors::exponent_of(std::bit_cast<std::uint32_t>(c)));
  exponent = std::max(exponent, least);
  // A conversion to int drops what is behind the point. A product is below 2^(2 + its exponent): 31 bits hold
  // the sum.
  const double scale = power_of_two(places - exponent);
  auto sum = static_cast<std::int32_t>(static_cast<double>(c) * scale);
  for (const double p : product) sum += static_cast<std::int32_t>(p * scale);
  // A float has 24 bits, and none below 2^-149.
  const auto size = static_cast<std::uint32_t>(std::abs(sum));
  const int dropped = std::max({static_cast<int>(std::bit_width(size)) - 24, places - exponent - 149, 0});
  const double kept = dropped < 32 ? static_cast<double>(size >> dropped << dropped) : 0.0;
  const double result = kept * power_of_two(exponent - places);
  constexpr auto largest = static_cast<double>(std::numeric_limits<float>::max());
  const float magnitude =
      result > largest ? std::numeric_limits<float>::infinity() : static_cast<float>(result);
  return sum < 0 ? -magnitude : magnitude;
}

}  // namespace kindred::cuda::emulated
