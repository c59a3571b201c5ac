// Samples of 1, 2, 4 or 8 bits, as PNG and BMP pack them into a row: the first one in a byte's highest bits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kindred::detail {

inline std::uint32_t packed_sample(const std::uint8_t* row, std::size_t x, std::size_t bits) {
  const std::size_t bit = x * bits;
  return (std::uint32_t{row[bit / 8]} >> (8 - bits - bit % 8)) & ((1u << bits) - 1);
}

}  // namespace kindred::detail
