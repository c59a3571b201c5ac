// How every .cu file starts kernels, and what they are made of. Included by .cu files alone.
//
// Kernels are written in the common part of CUDA C++ that engine/cuda/emulation.h understands too, so that the
// preset `emulated` runs them, block by block and thread by thread, on a machine without a GPU. In particular a
// kernel is started by launch(), never by <<< >>>, and shared memory has a fixed size.
#pragma once

#include <kindred/engine/dispatch.h>
#include <kindred/engine/error.h>
#include <kindred/engine/tensor.h>

#ifdef KINDRED_EMULATE
#include <kindred/engine/cuda/emulated_streams.h>
#include <kindred/engine/cuda/emulation.h>
#else
#include <kindred/engine/cuda/stream.h>

#include <cuda_runtime.h>
#endif

#include <algorithm>
#include <cstdint>

namespace kindred::cuda {

constexpr int warp = 32;
constexpr unsigned all_lanes = 0xffffffffu;

#ifdef KINDRED_EMULATE
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, int block, const Arguments&... arguments) {
  emulation::start([=] { emulation::run(grid, block, [&] { kernel(static_cast<Parameters>(arguments)...); }); },
                   emulation::uses_of<Parameters...>(static_cast<Parameters>(arguments)...));
}
#else

// Starts `block` threads in each of `grid` blocks and does not wait.
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, int block, const Arguments&... arguments) {
  // clang-format off
  kernel<<<grid, static_cast<unsigned>(block), 0, stream()>>>(static_cast<Parameters>(arguments)...);
  // clang-format on
  check_status(cudaGetLastError(), "starting a kernel");
}
#endif

// Blocks for `count` items of `per_block` each; at least one.
inline dim3 blocks_for(std::int64_t count, std::int64_t per_block) {
  return dim3(static_cast<unsigned>(std::max<std::int64_t>(1, (count + per_block - 1) / per_block)));
}

// Consecutive elements that move in one load or store.
template <typename T, int N>
struct alignas(sizeof(T) * N) Pack {
  T element[N];
};

// As many elements as fit 16 bytes.
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

// The sum over a warp, or over a group of `width` neighbouring lanes (a power of two); every lane gets it.
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

// The sum over a block of `threads` threads, for all of them. Every thread of the block must call it.
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
