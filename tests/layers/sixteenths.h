// Random numbers that are exact in every type.
#pragma once

#include <kindred/engine/random/philox.h>
#include <kindred/engine/tensor.h>

#include <cstdint>
#include <vector>

namespace kindred::test {

// Multiples of 1/16 in [-1, 1), on the host; other numbers for each `which`.
inline Tensor sixteenths(const Shape& shape, std::uint32_t which) {
  RandomStream random(51, Purpose::test, which);
  std::vector<float> values;
  for (std::int64_t i = 0; i < shape.numel(); ++i)
    values.push_back(static_cast<float>(random.below(32)) / 16 - 1);
  return Tensor::from(values, shape, Device::reference);
}

}  // namespace kindred::test
