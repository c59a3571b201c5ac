// Computes, in plain C++ and with the same bits, what a Hopper tensor core makes of eight products and a sum.
// The emulation uses it in place of the instruction of mma.h, and with sixteen products of bf16 in place of wgmma, where the
// same rule is assumed.
//
// A tensor core does not round as a processor does. It aligns its eight products and the sum so far to the
// largest exponent among them and keeps two bits more than a float of that exponent has. It drops the lower
// bits, adds exactly, and again drops what a float cannot hold. Both times it rounds toward zero. So a sum that
// goes through many instructions shrinks, on average by half a unit in the last place each time, whereas the
// errors of normal rounding go both ways.
//
// Source: Khattak and Mikaitis, "Accurate Models of NVIDIA Tensor Cores", arXiv 2512.07004. The authors publish
// 5,000 sums in tf32, of four products each, computed by an H200, and 5,000 computed by an H100. This code
// gives the same bits for all of them.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <type_traits>

namespace kindred::cuda::emulated {

// `n` factors as a tensor core reads them: floats without their last 13 bits.
template <int n>
struct FactorsOf {
  static constexpr int count = n;
  // Larger than the exponents of all other products, also where zero and infinity are multiplied.
  static constexpr int of_zero = -1000, of_infinity = 2000;  // of_infinity also stands for NaN

  double value[count] = {};
  int exponent[count];

  FactorsOf() { std::fill_n(exponent, count, of_zero); }

  void set(int k, float x) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(x) & 0xffffe000u;
    const auto read = std::bit_cast<float>(bits);
    value[k] = static_cast<double>(read);
    exponent[k] = read == 0 ? of_zero : std::isfinite(read) ? exponent_of(bits) : of_infinity;
  }
  // Numbers below 2^-126 also have the exponent -126.
  static int exponent_of(std::uint32_t bits) { return std::max(static_cast<int>(bits >> 23 & 0xff), 1) - 127; }
};

using Factors = FactorsOf<8>;

inline double power_of_two(int n) {  // -1022 <= n <= 1023
  return std::bit_cast<double>(static_cast<std::uint64_t>(1023 + n) << 52);
}

// c + a[0] b[0] + a[1] b[1] + ...
template <int n>
float tensor_core_sum(float c, const FactorsOf<n>& a, const FactorsOf<n>& b) {
  constexpr int places = 23 + 2;  // bits kept below the leading bit of the largest exponent,
  constexpr int least = -133;     // which is at least this
  int exponent = Factors::of_zero;
  for (int k = 0; k < n; ++k) exponent = std::max(exponent, a.exponent[k] + b.exponent[k]);
  if (exponent < 2 * -126) return c;  // every product is zero
  double product[n];
  for (int k = 0; k < n; ++k) product[k] = a.value[k] * b.value[k];
  if (exponent > 2 * 127 || !std::isfinite(c)) {
    double sum = static_cast<double>(c);
    for (const double p : product) sum += p;
    return static_cast<float>(sum);
  }
  if (c != 0) exponent = std::max(exponent, Factors::exponent_of(std::bit_cast<std::uint32_t>(c)));
  exponent = std::max(exponent, least);
  // Converting to int drops the fraction. A product is below 2^(2 + its exponent), so 31 bits hold a sum of eight.
  const double scale = power_of_two(places - exponent);
  using Sum = std::conditional_t<n <= 8, std::int32_t, std::int64_t>;
  Sum sum = static_cast<std::int32_t>(static_cast<double>(c) * scale);
  for (const double p : product) sum += static_cast<std::int32_t>(p * scale);
  // A float has 24 bits, and none of them is below 2^-149.
  const auto size = static_cast<std::make_unsigned_t<Sum>>(std::abs(sum));
  const int dropped = std::max({static_cast<int>(std::bit_width(size)) - 24, places - exponent - 149, 0});
  const double kept = dropped < std::numeric_limits<std::make_unsigned_t<Sum>>::digits
                          ? static_cast<double>(size >> dropped << dropped)
                          : 0.0;
  const double result = kept * power_of_two(exponent - places);
  constexpr auto largest = static_cast<double>(std::numeric_limits<float>::max());
  const float magnitude =
      result > largest ? std::numeric_limits<float>::infinity() : static_cast<float>(result);
  return sum < 0 ? -magnitude : magnitude;
}

}  // namespace kindred::cuda::emulated
