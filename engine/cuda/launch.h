// Launching kernels, and the building blocks that kernels share. Only .cu files include this header.
//
// Kernels are written in the subset of CUDA C++ that engine/cuda/emulation also supports, so the preset
// `emulated` can run them, block by block and thread by thread, on a machine without a GPU. In particular,
// kernels are started with launch(), never with <<< >>>, and static shared memory has a fixed size.
#pragma once

#include <kindred/engine/error.h>
#include <kindred/engine/kernels/dispatch.h>
#include <kindred/engine/tensor.h>

#ifdef KINDRED_EMULATE
#include <kindred/engine/cuda/emulation/emulation.h>
#include <kindred/engine/cuda/emulation/streams.h>
#else
#include <kindred/engine/cuda/stream.h>

#include <cuda_runtime.h>
#endif

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>

namespace kindred::cuda {

constexpr int warp = 32;
constexpr unsigned all_lanes = 0xffffffffu;

// The threads of a block and its bytes of dynamic shared memory. A plain number of threads converts to a Block.
struct Block {
  int threads;
  std::size_t dynamic_shared_bytes;
  Block(int count, std::size_t bytes = 0) : threads(count), dynamic_shared_bytes(bytes) {}
};

#ifdef KINDRED_EMULATE
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, Block block, const Arguments&... arguments) {
  const emulation::Launch what{reinterpret_cast<const void*>(kernel), grid, block.threads,
                               block.dynamic_shared_bytes};
  emulation::check_launch(what);
  const auto run = [=] {
    // The arguments lie in host memory until the kernel has them, so these accesses are not recorded.
    const auto body = [&]() __attribute__((no_sanitize("thread"))) {
      kernel(static_cast<Parameters>(arguments)...);
    };
    using Body = decltype(body);
    emulation::run(
        what, [](const void* of) __attribute__((no_sanitize("thread"))) { (*static_cast<Body*>(of))(); },
        &body);
  };
  emulation::start(what.kernel, run,
                   emulation::uses_of<Parameters...>(what.kernel, static_cast<Parameters>(arguments)...));
}

// Lets a block of the kernel use up to `bytes` of dynamic shared memory, for kernels that need more than 48 KB.
template <typename... Parameters>
void raise_shared_limit(void (*kernel)(Parameters...), std::size_t bytes) {
  emulation::raise_shared_limit(reinterpret_cast<const void*>(kernel), bytes);
}

// The block's dynamic shared memory, aligned to 16 bytes.
template <typename T>
T* dynamic_shared() {
  return static_cast<T*>(emulation::dynamic_shared_memory());
}
#else

// Starts `grid` blocks and does not wait for them.
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, Block block, const Arguments&... arguments) {
  // clang-format off
  kernel<<<grid, static_cast<unsigned>(block.threads), block.dynamic_shared_bytes, stream()>>>(
      static_cast<Parameters>(arguments)...);
  // clang-format on
  check_status(cudaGetLastError(), "starting a kernel");
}

// Never lowers it: a recording that has not been started yet may hold a launch with more.
inline void raise_shared_limit_of(const void* kernel, std::size_t bytes) {
  static std::mutex mutex;
  static std::map<const void*, std::size_t> limits;
  const std::lock_guard lock(mutex);
  std::size_t& limit = limits[kernel];
  if (bytes <= limit) return;
  check_status(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
      "raising a kernel's limit of shared memory");
  limit = bytes;
}

template <typename... Parameters>
void raise_shared_limit(void (*kernel)(Parameters...), std::size_t bytes) {
  raise_shared_limit_of(reinterpret_cast<const void*>(kernel), bytes);
}

template <typename T>
__device__ T* dynamic_shared() {
  extern __shared__ uint4 dynamic_shared_memory[];
  return reinterpret_cast<T*>(dynamic_shared_memory);
}
#endif

// The number of blocks for `count` items when each block takes `per_block`; at least one.
inline dim3 blocks_for(std::int64_t count, std::int64_t per_block) {
  return dim3(static_cast<unsigned>(std::max<std::int64_t>(1, (count + per_block - 1) / per_block)));
}

// Consecutive elements that one load or store moves.
template <typename T, int N>
struct alignas(sizeof(T) * N) Pack {
  T element[N];
};

// How many elements fit in 16 bytes.
template <typename T>
constexpr int pack_width = 16 / static_cast<int>(sizeof(T));

// Calls body(T{}) with T float, BFloat16 or Float16.
template <typename Body>
void dispatch_cuda(const char* what, DType dtype, Body&& body) {
  if (dtype == DType::f32) return body(float{});
  if (dtype == DType::bf16) return body(BFloat16{});
  if (dtype == DType::f16) return body(Float16{});
  fail(ExitCode::usage, "{} on device cuda computes in f32, bf16 or f16, not {}", what, name(dtype));
}

// The sum over a warp, or over a group of `width` neighbouring lanes (a power of two). Every lane gets the sum.
template <int width = warp>
__device__ inline float warp_sum(float value) {
#pragma unroll
  for (int step = width / 2; step > 0; step /= 2) value += __shfl_xor_sync(all_lanes, value, step);
  return value;
}

template <int width = warp>
__device__ inline float warp_max(float value) {
#pragma unroll
  for (int step = width / 2; step > 0; step /= 2) value = fmaxf(value, __shfl_xor_sync(all_lanes, value, step));
  return value;
}

// The sum over a block of `threads` threads. Every thread of the block must call it, and every thread gets the
// sum.
template <int threads>
__device__ inline float block_sum(float value) {
  __shared__ float partial[threads / warp];
  value = warp_sum(value);
  __syncthreads();  // an earlier use of `partial` may still be read
  if (threadIdx.x % warp == 0) partial[threadIdx.x / warp] = value;
  __syncthreads();
  value = 0;
  for (int w = 0; w < threads / warp; ++w) value += partial[w];
  return value;
}

}  // namespace kindred::cuda
