// CUDA C++ on the host, for tests: the words that our kernels use, and a scheduler that runs a grid.
//
// Each thread of a block is a fiber. Fibers of a block run in turn on one host thread and change places at
// __syncthreads and at warp shuffles, so barriers, shared memory and reductions behave as on a GPU, only
// slowly. Blocks run one after another. What this cannot show: races between warps, alignment faults, speed.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __launch_bounds__(...)
#define __forceinline__ inline
#define __restrict__

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace kindred::cuda::emulation {

struct Position {
  dim3 thread, block, block_size, grid;
};
extern Position position;  // of the fiber that runs now

// Runs body once for every thread of every block. An exception in it ends the program's test as usual.
void run(dim3 grid, int block, const std::function<void()>& body);

void block_barrier();
// Every lane of the caller's warp gives eight bytes and gets those of lane `source`.
std::uint64_t exchange(std::uint64_t value, int source);

template <typename T>
T exchange_value(T value, int source) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = exchange(bits, source);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline int lane() {
  return static_cast<int>(position.thread.x % 32);
}

}  // namespace kindred::cuda::emulation

#define threadIdx (kindred::cuda::emulation::position.thread)
#define blockIdx (kindred::cuda::emulation::position.block)
#define blockDim (kindred::cuda::emulation::position.block_size)
#define gridDim (kindred::cuda::emulation::position.grid)

inline void __syncthreads() {
  kindred::cuda::emulation::block_barrier();
}
inline void __syncwarp(unsigned = 0xffffffffu) {
  kindred::cuda::emulation::exchange(0, 0);
}
template <typename T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return kindred::cuda::emulation::exchange_value(value, kindred::cuda::emulation::lane() ^ mask);
}
template <typename T>
T __shfl_sync(unsigned, T value, int source) {
  return kindred::cuda::emulation::exchange_value(value, source % 32);
}
template <typename T>
T __shfl_down_sync(unsigned, T value, int distance) {
  const int source = kindred::cuda::emulation::lane() + distance;
  return kindred::cuda::emulation::exchange_value(value, source < 32 ? source : source - distance);
}
inline unsigned __ballot_sync(unsigned, bool predicate) {
  unsigned votes = predicate ? 1u << kindred::cuda::emulation::lane() : 0u;
  for (int step = 16; step > 0; step /= 2) votes |= __shfl_xor_sync(0xffffffffu, votes, step);
  return votes;
}
template <typename T>
T atomicAdd(T* address, T value) {
  const T old = *address;
  *address = old + value;
  return old;
}
inline int atomicOr(int* address, int value) {
  const int old = *address;
  *address = old | value;
  return old;
}
inline void __threadfence() {}
inline float rsqrtf(float value) {
  return 1.0f / std::sqrt(value);
}
template <typename T>
T __ldg(const T* address) {
  return *address;
}
inline float __expf(float value) {
  return std::exp(value);
}
inline int __popc(unsigned value) {
  return __builtin_popcount(value);
}
