// The emulation's form of what engine/cuda/hopper.h does in machine code, by the description in NVIDIA's PTX ISA.
//
// Whatever runs beside the threads is done at the least convenient moment that the rules allow, or at once; which of them
// is drawn. Errors are reported with the kernel and the line:
//   - A copy to shared memory makes its box unreadable at once and arrives when somebody waits for its barrier. It is an
//     error to read the box without having waited for that phase, and to start a copy over what another thread may still
//     read: a product that nobody has waited for, or a warp that has not arrived at a barrier since.
//   - Products read shared memory and registers either when they are started or when they are waited for. Their sums
//     are NaN in between, and it is an error to write to them. Factors that a thread stored need async_fence() and a
//     meeting of the threads, in this order.
//   - A copy from shared memory reads it either when it is started or when it is waited for.
//   - A barrier that nobody can complete, or that was used before it was set up and published.
//
// Boxes that copies brought are read by products and load_matrices(). A plain read is allowed too, but what orders it
// behind the copy and before the next one is not followed: the content is unreadable or NaN while the copy is under way.
//
// Products of 16 bf16 numbers are added as Hopper's mma instructions add them (tensor_core.h): all 16 at once, with two bits
// more than a float. That wgmma adds the same way is an assumption.
#pragma once

#include <kindred/engine/cuda/emulation/emulation.h>

#include <bit>
#include <cstddef>
#include <cstdint>

#define __grid_constant__

namespace kindred::cuda {

namespace emulated {

void start_multiply(float* d, int columns, const std::uint32_t* a_registers, std::uint64_t a, std::uint64_t b,
                    bool add);
void multiply_wait(int pending);

}  // namespace emulated

struct TensorMap {
  const void* address;
  std::int64_t rows, columns;
  std::int64_t box_rows;
};
TensorMap tensor_map(const void* address, std::int64_t rows, std::int64_t columns, int box_rows);

using Barrier = std::uint64_t;

std::uint32_t shared_address(const void* pointer);
void barrier_init(Barrier* barrier, int arrivals);
void publish_barriers();
void barrier_arrive(Barrier* barrier);
void barrier_expect(Barrier* barrier, unsigned bytes);
void barrier_wait(Barrier* barrier, unsigned parity);

void load_box(void* to, const TensorMap& map, int row, int column, Barrier* barrier);
void store_box(const TensorMap& map, int row, int column, const void* from);
void commit_stores();
void wait_for_stores();
void async_fence();

void multiply_fence();
void multiply_commit();
template <int pending>
void multiply_wait() {
  emulated::multiply_wait(pending);
}
// a[] must stay where it is until the product has been waited for.
template <int columns>
void multiply(float (&d)[columns / 2], std::uint64_t a, std::uint64_t b, bool add) {
  emulated::start_multiply(d, columns, nullptr, a, b, add);
}
template <int columns>
void multiply(float (&d)[columns / 2], const std::uint32_t (&a)[4], std::uint64_t b, bool add) {
  emulated::start_multiply(d, columns, a, 0, b, add);
}
void load_matrices(std::uint32_t (&a)[4], const void* row);

inline std::uint32_t pack_bf16(float low, float high) {
  const auto rounded = [](float value) {
    if (value != value) return std::uint32_t{0x7fff};
    const auto bits = std::bit_cast<std::uint32_t>(value);
    return (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  };
  return rounded(low) | rounded(high) << 16;
}
inline std::uint32_t pack_relu(float low, float high) {
  return pack_bf16(low <= 0 ? 0.0f : low, high <= 0 ? 0.0f : high);
}

template <int count>
void lower_registers() {
  static_assert(count >= 24 && count <= 256 && count % 8 == 0);
}
template <int count>
void raise_registers() {
  static_assert(count >= 24 && count <= 256 && count % 8 == 0);
}

}  // namespace kindred::cuda
