#include <kindred/engine/cuda/launch.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/tests/emulation/planted.h>

namespace kindred::planted {
namespace {

using cuda::all_lanes;
using cuda::Block;
using cuda::launch;

// The place of the line `below` lines after this one.
#define LINE(below) ("tests/emulation/planted.cu:" + std::to_string(__LINE__ + (below)))

__device__ int thread() {
  return static_cast<int>(threadIdx.x);
}

// ---- shared memory

const std::vector<std::string> no_barrier_lines = {LINE(5), LINE(6)};
__global__ void no_barrier(std::int32_t* out) {
  __shared__ std::int32_t values[64];
  values[thread()] = 0;
  __syncthreads();
  values[thread()] = thread();
  out[thread()] = values[63 - thread()];
}

__global__ void with_barrier(std::int32_t* out) {
  __shared__ std::int32_t values[64];
  values[thread()] = thread();
  __syncthreads();
  out[thread()] = values[63 - thread()];
}

// The second use of `values` comes too early for threads that still read the first.
const std::vector<std::string> early_reuse_lines = {LINE(5), LINE(7)};
__global__ void early_reuse(std::int32_t* out) {
  __shared__ std::int32_t values[64];
  for (int round = 0; round < 2; ++round) {
    if (round > 0) out[thread()] = 0;
    values[thread()] = thread();
    if (round == 0) __syncthreads();
    out[thread()] = round == 0 ? values[63 - thread()] : 1;
  }
}

const std::vector<std::string> bytes_of_a_word_lines = {LINE(6), LINE(7)};
__global__ void bytes_of_a_word(std::int32_t* out, int apart) {
  __shared__ unsigned char bytes[256];
  bytes[thread()] = 0;
  __syncthreads();
  const int own = thread() / 32, other = own * apart;
  if (thread() % 32 == 0) bytes[own] = 1;
  if (thread() % 32 == 0) out[own] = bytes[other];
}

const std::vector<std::string> no_syncwarp_lines = {LINE(5), LINE(6)};
__global__ void no_syncwarp(std::int32_t* out) {
  __shared__ std::int32_t values[32];
  values[thread()] = 0;
  __syncthreads();
  values[thread()] = thread();
  out[thread()] = values[31 - thread()];
}

// A shuffle makes the lanes wait for each other, but does not order memory accesses.
const std::vector<std::string> shuffle_is_no_syncwarp_lines = {LINE(5), LINE(7)};
__global__ void shuffle_is_no_syncwarp(std::int32_t* out) {
  __shared__ std::int32_t values[32];
  values[thread()] = 0;
  __syncthreads();
  values[thread()] = thread();
  const int sum = __shfl_xor_sync(all_lanes, thread(), 1);
  out[thread()] = values[31 - thread()] + sum;
}

__global__ void with_syncwarp(std::int32_t* out) {
  __shared__ std::int32_t values[64];
  values[thread()] = thread();
  __syncwarp();
  out[thread()] = values[thread() ^ 31];
}

// Each half of a warp waits for itself; `across` 15 stays in it, 31 does not.
const std::vector<std::string> half_a_warp_lines = {LINE(5), LINE(7)};
__global__ void half_a_warp(std::int32_t* out, int across) {
  __shared__ std::int32_t values[32];
  values[thread()] = 0;
  __syncthreads();
  values[thread()] = thread();
  __syncwarp(thread() < 16 ? 0xffffu : 0xffff0000u);
  out[thread()] = values[thread() ^ across];
}

const std::vector<std::string> unwritten_lines = {LINE(4)};
__global__ void unwritten(std::int32_t* out) {
  __shared__ std::int32_t values[64];
  if (thread() < 32) values[thread()] = thread();
  if (thread() >= 32) out[thread()] = values[thread()];
}

__global__ void too_much_shared(std::int32_t* out) {
  __shared__ std::int32_t values[12 * 1024 + 1];
  for (int i = thread(); i < 12 * 1024 + 1; i += 64) values[i] = i;
  out[thread()] = values[thread()];
}

__global__ void in_dynamic(std::int32_t* out, int count) {
  auto* values = cuda::dynamic_shared<std::int32_t>();
  for (int i = thread(); i < count; i += 64) values[i] = i;
  __syncthreads();
  out[thread()] = values[63 - thread()];
}

// For a raised limit, which stays: the limit of a kernel never falls.
__global__ void in_raised_dynamic(std::int32_t* out, int count) {
  auto* values = cuda::dynamic_shared<std::int32_t>();
  for (int i = thread(); i < count; i += 64) values[i] = i;
  __syncthreads();
  out[thread()] = values[63 - thread()];
}

// ---- global memory

const std::vector<std::string> blocks_meet_lines = {LINE(2)};
__global__ void blocks_meet(std::int32_t* out) {
  if (thread() == 0) reinterpret_cast<unsigned char*>(out)[blockIdx.x / 2] = 1;
}

const std::vector<std::string> plain_counter_lines = {LINE(2)};
__global__ void plain_counter(std::int32_t* out) {
  ++out[0];
}

__global__ void atomic_counter(std::int32_t* out) {
  atomicAdd(out, 1);
}

const std::vector<std::string> read_of_a_counter_lines = {LINE(2), LINE(3)};
__global__ void read_of_a_counter(std::int32_t* out) {
  atomicAdd(out, 1);
  out[1 + thread()] = out[0];
}

const std::vector<std::string> misaligned_lines = {LINE(3)};
__global__ void misaligned(std::int32_t* out) {
  using Four = cuda::Pack<std::int32_t, 4>;
  const Four four = *reinterpret_cast<const Four*>(out + 4 * thread() + 1);
  out[4 * thread()] = four.element[0];
}

const std::vector<std::string> of_the_host_lines = {LINE(2)};
__global__ void of_the_host(std::int32_t* out, std::uintptr_t host) {
  out[thread()] = *reinterpret_cast<const std::int32_t*>(host);
}

const std::vector<std::string> anothers_variable_lines = {LINE(6)};
__global__ void anothers_variable(std::int32_t* out) {
  __shared__ volatile std::int32_t* address;
  volatile std::int32_t own = thread();
  if (thread() == 0) address = &own;
  __syncthreads();
  out[thread()] = *address;
}

// ---- threads that do not meet

const std::vector<std::string> half_a_block_lines = {LINE(2)};
__global__ void half_a_block(std::int32_t* out) {
  if (thread() < 32) __syncthreads();
  out[thread()] = 1;
}

const std::vector<std::string> two_barriers_lines = {LINE(3), LINE(5)};
__global__ void two_barriers(std::int32_t* out) {
  if (thread() < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  out[thread()] = 1;
}

const std::vector<std::string> deadlock_lines = {LINE(3), LINE(5)};
__global__ void deadlock(std::int32_t* out) {
  if (thread() % 32 == 0)
    __syncthreads();
  else
    out[thread()] = __shfl_sync(all_lanes, thread(), 1);
}

// Warps of a block take turns, so one may wait for another. Two blocks need not run at the same time.
__global__ void waits_for_warp(std::int32_t* out) {
  if (thread() == 0)
    while (atomicAdd(out, 0) == 0) {
    }
  if (thread() == 32) atomicAdd(out, 1);
}

const std::vector<std::string> waits_for_block_lines = {LINE(3)};
__global__ void waits_for_block(std::int32_t* out) {
  if (thread() == 0) atomicAdd(out, 1);
  while (thread() == 0 && atomicAdd(out, 0) < 2) {
  }
}

const std::vector<std::string> not_in_mask_lines = {LINE(2)};
__global__ void not_in_mask(std::int32_t* out) {
  out[thread()] = __shfl_xor_sync(0xffffu, thread(), 1);
}

const std::vector<std::string> two_shuffles_lines = {LINE(3), LINE(5)};
__global__ void two_shuffles(std::int32_t* out) {
  if (thread() % 32 < 16)
    out[thread()] = __shfl_xor_sync(all_lanes, thread(), 1);
  else
    out[thread()] = __shfl_down_sync(all_lanes, thread(), 1);
}

const std::vector<std::string> absent_lane_lines = {LINE(3)};
__global__ void absent_lane(std::int32_t* out) {
  if (thread() % 32 >= 16) return;
  out[thread()] = __shfl_xor_sync(all_lanes, thread(), 16);
}

__global__ void votes(std::int32_t* out) {
  const unsigned odd = __ballot_sync(all_lanes, thread() % 2 == 1);
  const int next = __shfl_down_sync(all_lanes, thread(), 1), first = __shfl_sync(all_lanes, thread(), 0);
  out[thread()] = odd == 0xaaaaaaaau && next == std::min(thread() + 1, thread() / 32 * 32 + 31) &&
                          first == thread() / 32 * 32
                      ? 1
                      : -1000;
}

// The first thread gets the first place. No error, but the result depends on the order.
__global__ void places(std::int32_t* out) {
  out[1 + atomicAdd(out, 1)] = thread() + 64 * static_cast<int>(blockIdx.x);
}

template <typename... Arguments>
void two_warps(void (*kernel)(std::int32_t*, Arguments...), const Tensor& memory, Arguments... arguments) {
  launch(kernel, dim3(1), 64, memory.data<std::int32_t>(), arguments...);
}
void one_warp(void (*kernel)(std::int32_t*), const Tensor& memory) {
  launch(kernel, dim3(1), 32, memory.data<std::int32_t>());
}

// The parts of a message: `text`, and the lines.
std::vector<std::string> parts(std::vector<std::string> lines, std::initializer_list<const char*> text) {
  lines.insert(lines.end(), text.begin(), text.end());
  return lines;
}

}  // namespace

const std::vector<Kernel>& kernels() {
  static const std::vector<Kernel> all = {
      {"no_barrier", [](const Tensor& m) { two_warps(no_barrier, m); },
       parts(no_barrier_lines, {"race on shared memory", "(warp 0)", "(warp 1)", "no __syncthreads"})},
      {"with_barrier", [](const Tensor& m) { two_warps(with_barrier, m); }, {}},
      {"early_reuse", [](const Tensor& m) { two_warps(early_reuse, m); },
       parts(early_reuse_lines, {"race on shared memory", "no __syncthreads"})},
      {"bytes_of_a_word", [](const Tensor& m) { two_warps(bytes_of_a_word, m, 0); },
       parts(bytes_of_a_word_lines, {"race on shared memory", "no __syncthreads"})},
      {"bytes_of_a_word", [](const Tensor& m) { two_warps(bytes_of_a_word, m, 1); }, {}},
      {"no_syncwarp", [](const Tensor& m) { one_warp(no_syncwarp, m); },
       parts(no_syncwarp_lines, {"race on shared memory", "no __syncwarp"})},
      {"shuffle_is_no_syncwarp", [](const Tensor& m) { one_warp(shuffle_is_no_syncwarp, m); },
       parts(shuffle_is_no_syncwarp_lines, {"race on shared memory", "no __syncwarp"})},
      {"with_syncwarp", [](const Tensor& m) { two_warps(with_syncwarp, m); }, {}},
      {"half_a_warp", [](const Tensor& m) { launch(half_a_warp, dim3(1), 32, m.data<std::int32_t>(), 31); },
       parts(half_a_warp_lines, {"race on shared memory", "no __syncwarp"})},
      {"half_a_warp",
       [](const Tensor& m) { launch(half_a_warp, dim3(1), 32, m.data<std::int32_t>(), 15); },
       {}},
      {"unwritten", [](const Tensor& m) { two_warps(unwritten, m); },
       parts(unwritten_lines, {"shared memory", "that no thread of its block has written", "(warp 1)"})},
      {"too_much_shared",
       [](const Tensor& m) { two_warps(too_much_shared, m); },
       {"more than 49152 bytes of static shared memory"}},
      {"in_dynamic",
       [](const Tensor& m) { launch(in_dynamic, dim3(1), Block(64, 4096), m.data<std::int32_t>(), 1024); },
       {}},
      {"in_dynamic",
       [](const Tensor& m) { launch(in_dynamic, dim3(1), Block(64, 4096), m.data<std::int32_t>(), 1025); },
       {"byte 4096 of its dynamic shared memory", "launched with 4096"}},
      {"in_dynamic",
       [](const Tensor& m) { launch(in_dynamic, dim3(1), Block(64, 50000), m.data<std::int32_t>(), 12500); },
       {"50000 bytes of dynamic shared memory", "limit is 49152"}},
      {"in_raised_dynamic",
       [](const Tensor& m) {
         cuda::raise_shared_limit(in_raised_dynamic, 50000);
         cuda::raise_shared_limit(in_raised_dynamic, 49152);  // takes nothing away
         launch(in_raised_dynamic, dim3(1), Block(64, 50000), m.data<std::int32_t>(), 12500);
       },
       {}},
      {"blocks_meet", [](const Tensor& m) { launch(blocks_meet, dim3(5), 32, m.data<std::int32_t>()); },
       parts(blocks_meet_lines, {"race on global memory", "of block (", "blocks of a launch have no order"})},
      {"plain_counter", [](const Tensor& m) { two_warps(plain_counter, m); },
       parts(plain_counter_lines, {"race on global memory"})},
      {"atomic_counter",
       [](const Tensor& m) { launch(atomic_counter, dim3(3), 64, m.data<std::int32_t>()); },
       {}},
      {"read_of_a_counter", [](const Tensor& m) { two_warps(read_of_a_counter, m); },
       parts(read_of_a_counter_lines, {"race on global memory", "atomically"})},
      {"misaligned", [](const Tensor& m) { two_warps(misaligned, m); },
       parts(misaligned_lines, {"misaligned address", "4 above a multiple of 16"})},
      {"of_the_host",
       [](const Tensor& m) {
         const std::vector<std::int32_t> host(1);
         launch(of_the_host, dim3(1), 64, m.data<std::int32_t>(),
                reinterpret_cast<std::uintptr_t>(host.data()));
         gpu().synchronize();
       },
       parts(of_the_host_lines, {"illegal address", "memory of the host"})},
      {"anothers_variable", [](const Tensor& m) { two_warps(anothers_variable, m); },
       parts(anothers_variable_lines, {"a local variable of thread 0"})},
      {"half_a_block", [](const Tensor& m) { two_warps(half_a_block, m); },
       parts(half_a_block_lines, {"divergent barrier", "has ended"})},
      {"two_barriers", [](const Tensor& m) { two_warps(two_barriers, m); },
       parts(two_barriers_lines, {"divergent barrier"})},
      {"deadlock", [](const Tensor& m) { two_warps(deadlock, m); }, parts(deadlock_lines, {"deadlock"})},
      {"waits_for_warp", [](const Tensor& m) { two_warps(waits_for_warp, m); }, {}},
      {"waits_for_block", [](const Tensor& m) { launch(waits_for_block, dim3(2), 64, m.data<std::int32_t>()); },
       parts(waits_for_block_lines, {"again and again"})},
      {"not_in_mask", [](const Tensor& m) { two_warps(not_in_mask, m); },
       parts(not_in_mask_lines, {"__shfl_xor_sync", "mask 0xffff, which does not name it"})},
      {"two_shuffles", [](const Tensor& m) { two_warps(two_shuffles, m); },
       parts(two_shuffles_lines, {"different operations", "__shfl_xor_sync", "__shfl_down_sync"})},
      {"absent_lane", [](const Tensor& m) { two_warps(absent_lane, m); },
       parts(absent_lane_lines, {"__shfl_xor_sync", "takes no part in it"})},
      {"votes", [](const Tensor& m) { two_warps(votes, m); }, {}},
      {"places", [](const Tensor& m) { launch(places, dim3(4), 64, m.data<std::int32_t>()); }, {}},
      {"with_barrier",
       [](const Tensor& m) { launch(with_barrier, dim3(1), 1025, m.data<std::int32_t>()); },
       {"1025 threads", "a block has 1 to 1024 threads"}},
      {"with_barrier",
       [](const Tensor& m) { launch(with_barrier, dim3(1, 65536), 64, m.data<std::int32_t>()); },
       {"1 x 65536 x 1 blocks", "1 to 2147483647 x 65535 x 65535"}},
      {"with_barrier",
       [](const Tensor& m) { launch(with_barrier, dim3(1, 1, 65536), 64, m.data<std::int32_t>()); },
       {"1 x 1 x 65536 blocks", "1 to 2147483647 x 65535 x 65535"}},
      {"with_barrier",
       [](const Tensor& m) { launch(with_barrier, dim3(1u << 31), 64, m.data<std::int32_t>()); },
       {"2147483648 x 1 x 1 blocks"}},
      {"with_barrier",
       [](const Tensor& m) { launch(with_barrier, dim3(0), 64, m.data<std::int32_t>()); },
       {"0 x 1 x 1 blocks"}},
  };
  return all;
}

}  // namespace kindred::planted
