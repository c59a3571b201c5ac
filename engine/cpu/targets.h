// The kinds of vectors that kernels of the CPU are compiled for, and the one that this machine uses.
//
// A source with such kernels is compiled once for each kind (engine/cpu/vectors.h), and the program picks one when it
// starts: the widest that the processor has and KINDRED_CPU allows.
#pragma once

#include <cstdint>
#include <string>

namespace kindred {

enum class CpuTarget : std::uint8_t { scalar, avx2, avx512, neon };

// The kind of vectors in use. The environment variable KINDRED_CPU=scalar|avx2|avx512|neon caps it, and oneDNN's
// instructions with it; what the processor does not have is not taken. Throws Error (usage) if it is something else.
CpuTarget cpu_target();

// "avx2", and so on, as KINDRED_CPU has them.
std::string name(CpuTarget target);

// Returns true if a result is larger than the last-level cache. Such a result is written straight to memory:
// normal stores would first read each of its cache lines.
inline bool worth_streaming(const float* y, std::int64_t floats) {
  constexpr std::int64_t more_than_cache = std::int64_t{4} << 20;  // floats
  return floats >= more_than_cache && reinterpret_cast<std::uintptr_t>(y) % 64 == 0;
}

}  // namespace kindred
