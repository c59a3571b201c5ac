#include <kindred/engine/cuda/async_copy.h>
#include <kindred/tests/emulation/planted_copies.h>

namespace kindred::planted {
namespace {

using cuda::Block;
using cuda::launch;

constexpr int half = 512, threads = 64;

__device__ int thread() {
  return static_cast<int>(threadIdx.x);
}
__device__ std::int32_t* place(int of) {
  return cuda::dynamic_shared<std::int32_t>() + 4 * of;
}

// Each thread brings four numbers and reads those of the thread at the other end.
__global__ void brings(std::int32_t* memory) {
  cuda::async_copy<16>(place(thread()), memory + 4 * thread());
  cuda::wait_for_copies();
  __syncthreads();
  memory[half + thread()] = *place(63 - thread());
}

__global__ void brings_single(std::int32_t* memory) {
  for (int i = 0; i < 4; ++i) cuda::async_copy<4>(place(thread()) + i, memory + 4 * thread() + i, i < 3);
  cuda::wait_for_copies();
  __syncthreads();
  memory[half + thread()] = place(63 - thread())[2] + place(thread())[3];
}

// Two stages: while one half is read, the other is on its way.
__global__ void brings_in_turns(std::int32_t* memory) {
  std::int32_t sum = 0;
  cuda::async_copy<16>(place(thread()), memory + 4 * thread());
  for (int turn = 0; turn < 6; ++turn) {
    cuda::wait_for_copies();
    __syncthreads();
    if (turn < 5) cuda::async_copy<16>(place(thread() + (turn + 1) % 2 * threads), memory + 4 * thread());
    sum += *place(63 - thread() + turn % 2 * threads);
  }
  memory[half + thread()] = sum;
}

__global__ void no_wait(std::int32_t* memory) {
  cuda::async_copy<16>(place(thread()), memory + 4 * thread());
  __syncthreads();
  memory[half + thread()] = *place(63 - thread());
}

__global__ void reads_its_own_early(std::int32_t* memory) {
  cuda::async_copy<16>(place(thread()), memory + 4 * thread());
  memory[half + thread()] = *place(thread());
  cuda::wait_for_copies();
}

// The wait of one thread says nothing of the copies of others.
__global__ void no_barrier_after_wait(std::int32_t* memory) {
  cuda::async_copy<16>(place(thread()), memory + 4 * thread());
  __syncthreads();
  cuda::wait_for_copies();
  memory[half + thread()] = *place(63 - thread());
}

__global__ void too_early_reuse(std::int32_t* memory) {
  std::int32_t sum = 0;
  for (int turn = 0; turn < 2; ++turn) {
    cuda::async_copy<16>(place(thread()), memory + 4 * thread());
    cuda::wait_for_copies();
    __syncthreads();
    sum += *place(63 - thread());
  }
  memory[half + thread()] = sum;
}

__global__ void writes_under_a_copy(std::int32_t* memory) {
  cuda::async_copy<16>(place(thread()), memory + 4 * thread());
  __syncthreads();
  *place(63 - thread()) = 7;
  __syncthreads();
  cuda::wait_for_copies();
  memory[half + thread()] = *place(thread());
}

__global__ void writes_the_source(std::int32_t* memory) {
  cuda::async_copy<16>(place(thread()), memory + 4 * thread());
  memory[4 * (63 - thread())] = 7;
  cuda::wait_for_copies();
}

__global__ void copies_to_odd_places(std::int32_t* memory) {
  cuda::async_copy<16>(place(thread()) + 1, memory + 4 * thread());
  cuda::wait_for_copies();
}

__global__ void copies_from_odd_places(std::int32_t* memory) {
  cuda::async_copy<16>(place(thread()), memory + 4 * thread() + 1);
  cuda::wait_for_copies();
}

__global__ void copies_to_global(std::int32_t* memory) {
  cuda::async_copy<16>(memory + half + 4 * thread(), memory + 4 * thread());
  cuda::wait_for_copies();
}

template <void (*kernel)(std::int32_t*)>
void start(const Tensor& memory) {
  launch(kernel, dim3(2), Block(threads, 2 * threads * 16), memory.data<std::int32_t>());
}
template <void (*kernel)(std::int32_t*)>
void start_one(const Tensor& memory) {
  launch(kernel, dim3(1), Block(threads, 2 * threads * 16), memory.data<std::int32_t>());
}

}  // namespace

const std::vector<CopyKernel>& copy_kernels() {
  static const std::vector<CopyKernel> all = {
      {"brings", start_one<brings>, {}},
      {"brings_single", start_one<brings_single>, {}},
      {"brings_in_turns", start_one<brings_in_turns>, {}},
      {"no_wait", start<no_wait>, {"shared memory", "that no thread of its block has written"}},
      {"reads_its_own_early",
       start<reads_its_own_early>,
       {"shared memory", "that no thread of its block has written"}},
      // Either another thread has not waited yet, or it has, and no barrier follows.
      {"no_barrier_after_wait", start<no_barrier_after_wait>, {"shared memory"}},
      {"too_early_reuse", start<too_early_reuse>, {"race on shared memory", "no __syncthreads"}},
      {"writes_under_a_copy",
       start<writes_under_a_copy>,
       {"arrives where a thread wrote while it was under way"}},
      {"writes_the_source", start_one<writes_the_source>, {"race on global memory"}},
      {"copies_to_odd_places",
       start<copies_to_odd_places>,
       {"misaligned address", "to an address", "multiple of 16"}},
      {"copies_from_odd_places",
       start<copies_from_odd_places>,
       {"misaligned address", "from an address", "multiple of 16"}},
      {"copies_to_global", start<copies_to_global>, {"illegal address", "not in shared memory"}},
  };
  return all;
}

}  // namespace kindred::planted
