// What Hopper GPUs (compute capability 9.0) add for products of large matrices: copies of whole boxes by the bulk copy
// engine, barriers that count their bytes, and products of a warpgroup, which read shared memory by themselves. Only .cu
// files include this header. The instructions exist for sm_90a alone; in code for other GPUs they end the kernel.
//
// All three run beside the threads that start them, so each has a rule for when its results may be read:
//   - A copy to shared memory (load_box) counts down the bytes that its barrier expects. A thread may read the box after
//     barrier_wait() for that phase of the barrier, and nobody may touch it before.
//   - A barrier's phases are numbered from 0, and barrier_wait(b, n % 2) returns when phase n has ended. A phase ends when
//     all arrivals have come, and all bytes that were expected. Arriving publishes what the thread did before.
//   - Products (multiply) of one commit are done after multiply_wait(). Until then their sums and their factors in registers
//     must not be touched, and their factors in shared memory must stay. multiply_fence() comes before the first product,
//     and after registers of a product were changed by anything else.
//   - Copies and products reach shared memory another way ("async proxy") than loads and stores of a thread. A thread that
//     stored what they shall read calls async_fence() afterwards, and then meets them (__syncthreads, __syncwarp).
//
// Tiles in shared memory have 128 bytes per row, 64 bf16 numbers, and begin at a multiple of 1024. Their 16-byte pieces lie
// in a swizzled order, so that eight rows of one column are in different banks: piece p of row r is at place p ^ (r % 8)
// (tile_piece). Copies write that order and products read it.
//
// Source: NVIDIA, PTX ISA 9.0: mbarrier, cp.async.bulk.tensor, wgmma (fragments of m64nNk16, matrix descriptors).
#pragma once

#include <kindred/engine/cuda/launch.h>

#include <bit>

#ifdef KINDRED_EMULATE
#include <kindred/engine/cuda/emulation/hopper/hopper.h>
#else
#include <cuda.h>

namespace kindred::cuda {

// A matrix in global memory and the box that a copy moves; a kernel takes it as `const __grid_constant__ TensorMap`.
using TensorMap = CUtensorMap;

using Barrier = std::uint64_t;  // in shared memory

// rows x columns bf16 numbers, row first, moved in boxes of box_rows x 64. `columns` is a multiple of 8, `address` of 16.
// Reading beyond the matrix gives zeros, and writing there does nothing.
inline TensorMap tensor_map(const void* address, std::int64_t rows, std::int64_t columns, int box_rows) {
  using Encode = decltype(&cuTensorMapEncodeTiled);
  static const Encode encode = [] {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult status{};
#if CUDART_VERSION >= 12050
    const cudaError_t asked =
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &status);
#else  // CUDA 13 has it no more
    const cudaError_t asked =
        cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &found, cudaEnableDefault, &status);
#endif
    check_status(asked, "asking the driver for tensor maps");
    check(status == cudaDriverEntryPointSuccess && found != nullptr, ExitCode::device,
          "this driver has no tensor maps; update it to one for CUDA 12 or newer");
    return reinterpret_cast<Encode>(found);
  }();
  TensorMap map{};
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(columns), static_cast<cuuint64_t>(rows)};
  const cuuint64_t row_bytes[] = {static_cast<cuuint64_t>(2 * columns)};
  const cuuint32_t box[] = {64, static_cast<cuuint32_t>(box_rows)}, step[] = {1, 1};
  const CUresult result =
      encode(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, const_cast<void*>(address), sizes, row_bytes, box, step,
             CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
             CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  check(result == CUDA_SUCCESS, ExitCode::device, "the driver refuses a tensor map of {} x {} (error {})", rows,
        columns, static_cast<int>(result));
  return map;
}

// Whether this code is for Hopper.
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define KINDRED_HOPPER(...) asm volatile(__VA_ARGS__)
__device__ constexpr bool has_hopper_code() {
  return true;
}
#else
#define KINDRED_HOPPER(...) __trap()
__device__ constexpr bool has_hopper_code() {
  return false;
}
#endif

__device__ inline std::uint32_t shared_address(const void* pointer) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

// ---- barriers

// One thread sets up a block's barriers, calls publish_barriers(), and __syncthreads() follows.
__device__ inline void barrier_init(Barrier* barrier, int arrivals) {
  KINDRED_HOPPER("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals)
                 : "memory");
}
__device__ inline void publish_barriers() {
  KINDRED_HOPPER("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ inline void barrier_arrive(Barrier* barrier) {
  KINDRED_HOPPER("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}
// Arrives, and lets the phase wait for `bytes` of copies as well.
__device__ inline void barrier_expect(Barrier* barrier, unsigned bytes) {
  KINDRED_HOPPER("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
                 "r"(bytes)
                 : "memory");
}
__device__ inline void barrier_wait(Barrier* barrier, unsigned parity) {
  unsigned done = 0;
  while (done == 0)
    KINDRED_HOPPER(
        "{\n"
        ".reg .pred done;\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%1], %2;\n"
        "selp.u32 %0, 1, 0, done;\n"
        "}"
        : "=r"(done)
        : "r"(shared_address(barrier)), "r"(parity)
        : "memory");
}

// ---- copies

// One thread starts a copy of the box whose first element is (row, column).
__device__ inline void load_box(void* to, const TensorMap& map, int row, int column, Barrier* barrier) {
  KINDRED_HOPPER(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], "
      "[%4];" ::"r"(shared_address(to)),
      "l"(&map), "r"(column), "r"(row), "r"(shared_address(barrier))
      : "memory");
}
__device__ inline void store_box(const TensorMap& map, int row, int column, const void* from) {
  KINDRED_HOPPER("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%1, %2}], [%3];" ::"l"(&map),
                 "r"(column), "r"(row), "r"(shared_address(from))
                 : "memory");
}
// The stores that this thread started since the last call become one group.
__device__ inline void commit_stores() {
  KINDRED_HOPPER("cp.async.bulk.commit_group;" ::: "memory");
}
// Waits until all of this thread's groups have read their shared memory.
__device__ inline void wait_for_stores() {
  KINDRED_HOPPER("cp.async.bulk.wait_group.read 0;" ::: "memory");
}
__device__ inline void async_fence() {
  KINDRED_HOPPER("fence.proxy.async.shared::cta;" ::: "memory");
}

// ---- products: all threads of a warpgroup (four warps, the first a multiple of four) call these together

__device__ inline void multiply_fence() {
  KINDRED_HOPPER("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ inline void multiply_commit() {
  KINDRED_HOPPER("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// Waits for all but the last `pending` commits.
template <int pending>
__device__ inline void multiply_wait() {
  KINDRED_HOPPER("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
}

#define KINDRED_D8(i)                                                                                   \
  "+f"(d[i]), "+f"(d[(i) + 1]), "+f"(d[(i) + 2]), "+f"(d[(i) + 3]), "+f"(d[(i) + 4]), "+f"(d[(i) + 5]), \
      "+f"(d[(i) + 6]), "+f"(d[(i) + 7])
#define KINDRED_D32(i) KINDRED_D8(i), KINDRED_D8((i) + 8), KINDRED_D8((i) + 16), KINDRED_D8((i) + 24)
#define KINDRED_NAMES_32                                                                        \
  "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, " \
  "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define KINDRED_NAMES_64                                                                                   \
  KINDRED_NAMES_32                                                                                         \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, " \
  "%52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"

// d[64 x columns] = (add ? d : 0) + a[64 x 16] b[columns x 16]^T, for 64 or 128 columns. Lane 4 g + t of warp w of the
// warpgroup holds of d, for each j: d[4 j] to d[4 j + 3] are
//   (16 w + g, 8 j + 2 t), (16 w + g, 8 j + 2 t + 1), (16 w + g + 8, 8 j + 2 t), (16 w + g + 8, 8 j + 2 t + 1)
// a and b are tiles in shared memory (tile_descriptor).
template <int columns>
__device__ inline void multiply(float (&d)[columns / 2], std::uint64_t a, std::uint64_t b, bool add) {
  static_assert(columns == 64 || columns == 128);
  if constexpr (columns == 64)
    KINDRED_HOPPER(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %34, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " KINDRED_NAMES_32
        "}, %32, %33, add, 1, 1, 0, 0;\n}"
        : KINDRED_D32(0)
        : "l"(a), "l"(b), "r"(static_cast<int>(add)));
  else
    KINDRED_HOPPER(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %66, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 " KINDRED_NAMES_64
        "}, %64, %65, add, 1, 1, 0, 0;\n}"
        : KINDRED_D32(0), KINDRED_D32(32)
        : "l"(a), "l"(b), "r"(static_cast<int>(add)));
}

// The same with a in registers, two numbers in each, the first in the lower half:
//   a[0] (16 w + g, 2 t ..), a[1] (16 w + g + 8, 2 t ..), a[2] (16 w + g, 2 t + 8 ..), a[3] (16 w + g + 8, 2 t + 8 ..)
template <int columns>
__device__ inline void multiply(float (&d)[columns / 2], const std::uint32_t (&a)[4], std::uint64_t b,
                                bool add) {
  static_assert(columns == 64 || columns == 128);
  if constexpr (columns == 64)
    KINDRED_HOPPER(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %37, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " KINDRED_NAMES_32
        "}, {%32, %33, %34, %35}, %36, add, 1, 1, 0;\n}"
        : KINDRED_D32(0)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(add)));
  else
    KINDRED_HOPPER(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %69, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 " KINDRED_NAMES_64
        "}, {%64, %65, %66, %67}, %68, add, 1, 1, 0;\n}"
        : KINDRED_D32(0), KINDRED_D32(32)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(add)));
}
#undef KINDRED_D8
#undef KINDRED_D32
#undef KINDRED_NAMES_32
#undef KINDRED_NAMES_64

// Four 8 x 8 matrices of 16-bit numbers, as a[] above takes them. Lane 8 i + r gives the address of row r of matrix i, a
// piece of 16 bytes. All lanes of the warp call it.
__device__ inline void load_matrices(std::uint32_t (&a)[4], const void* row) {
  a[0] = a[1] = a[2] = a[3] = 0;
  KINDRED_HOPPER("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// Two numbers rounded to bf16, the first in the lower half.
__device__ inline std::uint32_t pack_bf16(float low, float high) {
  std::uint32_t both = 0;
  KINDRED_HOPPER("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  return both;
}

// The same of max(0, low) and max(0, high); a NaN stays one.
__device__ inline std::uint32_t pack_relu(float low, float high) {
  std::uint32_t both = 0;
  KINDRED_HOPPER("cvt.rn.relu.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  return both;
}

// The registers of each thread of this warpgroup from here on: fewer for warps that only start copies, more for others.
template <int count>
__device__ inline void lower_registers() {
  KINDRED_HOPPER("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(count));
}
template <int count>
__device__ inline void raise_registers() {
  KINDRED_HOPPER("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(count));
}
#undef KINDRED_HOPPER

}  // namespace kindred::cuda
#endif

namespace kindred::cuda {

__device__ inline float low_of(std::uint32_t pair) {
  return std::bit_cast<float>(pair << 16);
}
__device__ inline float high_of(std::uint32_t pair) {
  return std::bit_cast<float>(pair & 0xffff0000u);
}

constexpr int tile_columns = 64, tile_row_bytes = 128;

// Where 16-byte piece `piece` (0 to 7) of a tile's row lies, in bytes from the beginning of the tile.
__device__ constexpr int tile_piece(int row, int piece) {
  return row * tile_row_bytes + ((piece ^ row % 8) << 4);
}

// Columns 16 step to 16 step + 15 of a tile, as multiply() takes them. The fields of a matrix descriptor are the address,
// the distance of groups of eight rows, and the order of the pieces (1: swizzled in 128 bytes); one that this order does
// not use is 1. All count in units of 16 bytes.
__device__ inline std::uint64_t tile_descriptor(const void* tile, int step) {
  constexpr std::uint64_t unused = 1, eight_rows = 8 * tile_row_bytes >> 4, swizzled = 1;
  const std::uint64_t address = (shared_address(tile) & 0x3ffffu) >> 4;
  return (address + static_cast<std::uint64_t>(2 * step)) | unused << 16 | eight_rows << 32 | swizzled << 62;
}

// The block's dynamic shared memory from the next multiple of 1024 on, so a launch asks for 1024 bytes more.
__device__ inline std::byte* tiles_in_shared() {
  auto* const memory = dynamic_shared<std::byte>();
  return memory + (1024 - shared_address(memory) % 1024) % 1024;
}

}  // namespace kindred::cuda
