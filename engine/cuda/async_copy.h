// Copies from global to shared memory that go on while the block computes (cp.async), and how much shared
// memory a block may have. Only .cu files include this header.
//
//   async_copy<bytes>(to, from, whole)  starts a copy of 4 or 16 bytes, of zeros if not `whole`; then `from`
//                                       is not read. Both addresses are multiples of `bytes`.
//   wait_for_copies()                   returns when all copies that this thread has started have arrived.
//
// The rules (PTX ISA, "Data Movement and Conversion Instructions: cp.async"): a copy has no order with
// anything else until the thread that started it has waited. So until then nobody may read or write `to`, not
// even that thread, and nobody may write `from`. Other threads may read `to` after the wait and then a barrier.
// Before the copy is started there must be a barrier since other threads used `to`.
//
// In the emulation a copy arrives as late as it may, at the wait, and until then its place holds NaN and counts
// as memory that nobody has written (emulation/async_copy.cpp). So a wait or a barrier that is missing is an
// error in every run.
#pragma once

#include <kindred/engine/cuda/launch.h>

#ifdef KINDRED_EMULATE
#include <kindred/engine/cuda/emulation/async_copy.h>
#else
namespace kindred::cuda {

template <int bytes>
__device__ inline void async_copy(void* to, const void* from, bool whole = true) {
  static_assert(bytes == 4 || bytes == 16);
  const auto at = static_cast<unsigned>(__cvta_generic_to_shared(to));
  const int read = whole ? bytes : 0;  // the rest is filled with zeros
  if constexpr (bytes == 16)           // past the first cache, which serves only 16 bytes at a time this way
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from), "r"(read) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(at), "l"(from), "r"(read) : "memory");
}

__device__ inline void wait_for_copies() {
  asm volatile("cp.async.wait_all;" ::: "memory");
}

// The most shared memory that a block can have, static and dynamic together, once its kernel's limit is raised:
// 227 KB on an H100 or H200, 163 KB on an A100, 99 KB on GPUs of desktops.
inline std::size_t most_shared_bytes() {
  int device = 0, bytes = 0;
  check_status(cudaGetDevice(&device), "asking for the GPU in use");
  check_status(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
               "asking for a GPU's shared memory");
  return static_cast<std::size_t>(bytes);
}

}  // namespace kindred::cuda
#endif
