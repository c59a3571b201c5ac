// Random draws among the orders that the hardware might take. They depend on the seed (KINDRED_EMULATION_SEED, or 1)
// and on the number of launches since the seed was set. Internal to the emulation (emulation.h).
#pragma once

#include <cstddef>
#include <cstdint>

namespace kindred::cuda::emulation {

std::uint64_t seed();
void set_seed(std::uint64_t seed);
void start_drawing();  // starts the draws of the next launch

inline std::uint64_t random_state = 0;  // of the launch

inline std::uint64_t next_random() {  // SplitMix64 (Steele, Lea and Flood 2014)
  std::uint64_t z = random_state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// A number from 0 to below - 1. Every change of threads draws one, so it stands here to be inlined.
inline std::size_t draw(std::size_t below) {
  return static_cast<std::size_t>(((next_random() >> 32) * below) >> 32);
}

}  // namespace kindred::cuda::emulation
