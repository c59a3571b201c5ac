// A view that is being processed. It has three planes instead of interleaved pixels, so that loops over colours
// vectorise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kindred {

struct Planes {
  int size = 0;                      // side, in pixels
  std::vector<std::uint8_t> values;  // [3, size, size]: red, green, blue

  void resize(int side) {
    size = side;
    values.resize(std::size_t(side) * std::size_t(side) * 3);
  }
  std::size_t pixels() const { return std::size_t(size) * std::size_t(size); }
  std::uint8_t* plane(int channel) { return values.data() + pixels() * std::size_t(channel); }
  const std::uint8_t* plane(int channel) const { return values.data() + pixels() * std::size_t(channel); }
};

}  // namespace kindred
