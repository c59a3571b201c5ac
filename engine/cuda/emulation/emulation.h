// CUDA C++ on the host, for tests: the subset of the language that our kernels use, and a scheduler that runs a
// grid in the least convenient order.
//
// Each thread of a block is a fiber. All fibers run on one host thread. They switch at __syncthreads, where
// lanes of a warp meet, and sometimes at an atomic operation. Blocks run one after another. Errors that
// hardware forbids but a lenient emulation would forgive are reported with the kernel, the line and the
// threads, and the same KINDRED_EMULATION_SEED repeats them:
//   - The order of blocks, and of threads after each meeting, is drawn from that seed.
//   - Every access to memory is recorded (memory.h). Errors are: two threads that touch a byte, one
//     of them writing, with nothing that orders them; a read of a shared byte that its block has not written;
//     another thread's local memory; host memory; an address that is not aligned for its type.
//   - A __syncthreads that some threads do not reach, or that is not the same line for all; lanes that meet in
//     different operations, with a mask that does not name them, or that read a lane which is not there.
//   - A deadlock, and a wait for something that another block would do.
//   - Limits: 1,024 threads in a block, a grid of 2^31 - 1 by 65,535 by 65,535 blocks, 48 KB of shared memory.
//     With dynamic shared memory the limit is the one that the kernel was raised to (launch.h).
// Registers and __launch_bounds__ are known to nvcc only: scripts/check_launches.py compares the launches of
// the tests with the machine code. A build without nvcc cannot check them.
//
// What this emulation cannot show:
//   - Between two meetings, two threads are not interleaved instruction by instruction, and two blocks never
//     run at the same time. A wrong result that needs this, without two accesses to one byte, is not found.
//   - What GPUs keep in caches and registers: a stale value read through __ldg or through a __restrict__ pointer.
//   - A read of global memory that nobody has written (it is NaN, and shows in results), and an access beyond a
//     tensor that stays within the pool's slab.
//   - Accesses inside library functions and inline assembly, and speed.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __shared__ static thread_local
#define __launch_bounds__(...)
#define __forceinline__ inline
#define __restrict__

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace kindred::cuda::emulation {

constexpr int most_block_threads = 1024;
constexpr std::size_t most_static_shared = std::size_t{48}
                                           << 10;  // bytes per block; also the default limit of dynamic memory
constexpr std::size_t most_dynamic_shared = std::size_t{227} << 10;  // limit of an H100; an A100 has 163 KB

struct Launch {
  const void* kernel;
  dim3 grid;
  int block;                         // threads
  std::size_t dynamic_shared_bytes;  // per block
};

// Throws Error(internal) if a GPU would refuse this launch.
void check_launch(const Launch& launch);

// Calls body(closure) once for every thread of every block. Throws the first error that occurs in it.
void run(const Launch& launch, void (*body)(const void*), const void* closure);

// These are constant within a thread, so the compiler may reuse the result.
[[gnu::const]] dim3 thread_index();
[[gnu::const]] dim3 block_index();
[[gnu::const]] dim3 block_size();
[[gnu::const]] dim3 grid_size();

// Allows the kernel more dynamic shared memory than 48 KB.
void raise_shared_limit(const void* kernel, std::size_t bytes);
void* dynamic_shared_memory();

// Memory of the emulated GPU, on pages of its own; returns null if there is no more. It counts as unwritten.
std::byte* acquire_memory(std::size_t bytes);
void release_memory(std::byte* memory);

void block_barrier(int line);

// Where lanes of a warp meet.
enum class LaneOperation : std::uint8_t { sync, shuffle_xor, shuffle, shuffle_down, ballot, multiply };

// Waits for the lanes of the mask. Each lane gives `bytes` of `value` and receives those of lane `source`, or
// its own if `source` is negative. A ballot returns the votes.
std::uint64_t meet_lanes(LaneOperation operation, unsigned mask, std::uint64_t value, std::size_t bytes,
                         int source);

template <typename T>
T exchange(LaneOperation operation, unsigned mask, T value, int source) {
  static_assert(sizeof value <= 8);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = meet_lanes(operation, mask, bits, sizeof value, source);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline int lane() {
  return static_cast<int>(thread_index().x % 32);
}

// What a thread's __threadfence and its atomic operations order between blocks (hooks.cpp): what a block has written
// before a barrier, a fence and an atomic operation of one of its threads may be read by the threads of a block that
// comes to the same address later, fences, and meets at a barrier.
void fence();
void come_to(const void* address);

// The two halves of an atomic read-modify-write of up to eight bytes.
void read_atomically(const void* address, void* value, std::size_t bytes);
void write_atomically(void* address, const void* value, std::size_t bytes);

template <typename T, typename Change>
T change_atomically(T* address, Change change) {
  T old{};
  read_atomically(address, &old, sizeof old);
  come_to(address);
  const T changed = change(old);
  write_atomically(address, &changed, sizeof changed);
  return old;
}

}  // namespace kindred::cuda::emulation

#define threadIdx (kindred::cuda::emulation::thread_index())
#define blockIdx (kindred::cuda::emulation::block_index())
#define blockDim (kindred::cuda::emulation::block_size())
#define gridDim (kindred::cuda::emulation::grid_size())

inline void __syncthreads(int line = __builtin_LINE()) {
  kindred::cuda::emulation::block_barrier(line);
}
inline void __syncwarp(unsigned mask = 0xffffffffu) {
  kindred::cuda::emulation::meet_lanes(kindred::cuda::emulation::LaneOperation::sync, mask, 0, 0, -1);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask) {
  using namespace kindred::cuda::emulation;
  return exchange(LaneOperation::shuffle_xor, mask, value, lane() ^ lane_mask);
}
template <typename T>
T __shfl_sync(unsigned mask, T value, int source) {
  using namespace kindred::cuda::emulation;
  return exchange(LaneOperation::shuffle, mask, value, source % 32);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, int distance) {
  using namespace kindred::cuda::emulation;
  return exchange(LaneOperation::shuffle_down, mask, value, lane() + distance < 32 ? lane() + distance : -1);
}
inline unsigned __ballot_sync(unsigned mask, bool predicate) {
  using namespace kindred::cuda::emulation;
  return static_cast<unsigned>(meet_lanes(LaneOperation::ballot, mask, predicate ? 1 : 0, 0, -1));
}
template <typename T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  return kindred::cuda::emulation::change_atomically(address, [value](T old) { return old + value; });
}
// Counts from 0 to `most`, and then begins again.
inline unsigned atomicInc(unsigned* address, unsigned most) {
  return kindred::cuda::emulation::change_atomically(
      address, [most](unsigned old) { return old >= most ? 0 : old + 1; });
}
inline int atomicOr(int* address, int value) {
  return kindred::cuda::emulation::change_atomically(address, [value](int old) { return old | value; });
}
inline void __threadfence() {
  kindred::cuda::emulation::fence();
}
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
