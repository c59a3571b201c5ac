// Who read and wrote which byte of an emulated GPU's memory. This finds races, reads of memory that nobody
// wrote, and addresses that a GPU cannot reach. Internal to the emulation (emulation.h).
//
// The kernels of the emulation are compiled with -fsanitize=thread, which inserts a call before each access to
// memory. Those calls end here (hooks.cpp) instead of in a sanitizer's library. The address tells
// which kind of memory is meant:
//   - shared memory: __shared__ variables are thread_local, so they lie among the host thread's thread-locals;
//   - global memory: the arena from which the emulated device takes all of its memory;
//   - local memory: the stack of a fiber, which no other thread may touch;
//   - constants: the program's own image.
// Anything else is memory of the host, which a GPU does not see.
//
// For each word of four bytes the last write and two reads are kept. If only part of a word was accessed, the
// word is kept byte by byte. Two accesses of which one is a write are a race, unless both come from one thread,
// both are atomic, or something orders them:
//   - a __syncthreads, between any two threads of a block;
//   - a __syncwarp whose mask has both, between two threads of a warp (a shuffle, a vote or a product of
//     tensor cores does not order memory);
//   - the end of a launch, between any two threads;
//   - fences and an atomic operation of each of two blocks at one address (hooks.cpp), for a read after a write.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace kindred::cuda::emulation {

// An access: when it was made, whether it was atomic, by which thread of its block, and where in the program.
// Later accesses compare greater.
struct Record {
  static constexpr int place_bits = 26, thread_bits = 10;
  static constexpr int atomic_shift = place_bits + thread_bits, time_shift = atomic_shift + 1;
  static constexpr std::uint64_t place_mask = (std::uint64_t{1} << place_bits) - 1;
  static constexpr std::uint64_t thread_mask = ((std::uint64_t{1} << thread_bits) - 1) << place_bits;
  static constexpr std::uint64_t warp_mask = thread_mask & ~(std::uint64_t{31} << place_bits);
  static constexpr std::uint64_t atomic_bit = std::uint64_t{1} << atomic_shift;
  static constexpr std::uint64_t latest_time = (std::uint64_t{1} << (64 - time_shift)) - 2;

  static unsigned thread(std::uint64_t record) {
    return static_cast<unsigned>((record & thread_mask) >> place_bits);
  }
  static std::uint64_t time(std::uint64_t record) { return record >> time_shift; }
};

// Which accesses come before the next access of the running thread. Each member is the smallest record that
// does not.
struct View {
  static constexpr std::int64_t all_patience = std::int64_t{1} << 28, of_atomic = 1 << 10;
  static constexpr std::size_t stack_bytes = std::size_t{128} << 10;

  std::uint64_t now = 0;      // time and thread of the next access
  std::uint64_t launch = 0;   // smaller records are accesses of earlier launches
  std::uint64_t block = 0;    // smaller records: blocks that ran earlier in this launch
  std::uint64_t barrier = 0;  // smaller records: before the last __syncthreads
  std::uint64_t warp = 0;     // smaller records: before the last __syncwarp of the whole warp
  std::uint32_t launch_time = 1, barrier_time = 1;  // `launch` and `barrier` as times
  // How many accesses may still follow before some thread must have ended or waited. This catches a thread that
  // spins for ever on a value that another thread would change. An atomic access counts for many.
  std::int64_t patience = 0;
  std::uintptr_t stack = 0;              // this thread's stack of stack_bytes
  const std::uint32_t* lanes = nullptr;  // [32] the time before which each lane's accesses are ordered; or null
};
extern View view;

// True on the host thread that runs a kernel, while the kernel runs.
extern thread_local constinit bool in_kernel;

enum class Access : std::uint8_t { read, write, atomic };

// What is known of a word or of a byte; 0 means nothing. Of the reads it keeps the newest, and the other one
// that is most likely to conflict with a write.
struct Cell {
  std::uint64_t write, read, other_read;
};

// A range of memory and its cells.
struct Watched {
  static constexpr std::size_t word = 4;
  static constexpr std::uint64_t in_bytes = ~std::uint64_t{0};  // as a word's `write`: see its bytes

  std::uintptr_t begin = 0;
  std::size_t bytes = 0;
  Cell *words = nullptr, *single = nullptr;
  std::uint32_t* known = nullptr;  // [words] of global memory, see read_is_known()

  Watched() = default;
  Watched(std::uintptr_t from, std::size_t count);
  void forget(std::size_t offset, std::size_t count) const;
};
extern Watched global_memory, shared_memory;

// One access of the running thread; `place` is the address of the instruction after it.
void note_access(std::uintptr_t address, std::size_t bytes, Access access, const void* place);

// Returns true if a read by the running thread need not be noted: the last write is ordered before it, and a
// read that is already noted conflicts with every write that this one would conflict with.
template <bool is_shared>
inline bool read_is_known(const Cell& cell) {
  if (is_shared) {
    if (cell.write >= view.barrier || cell.write < view.block) return false;
  } else {
    if (cell.write >= view.launch) return false;
    if (cell.read < view.block && cell.read >= view.launch) return true;  // by a block that has ended
  }
  if (cell.read >= view.warp && ((cell.read ^ view.now) & Record::thread_mask) == 0) return true;
  return cell.read >= view.barrier && cell.other_read >= view.barrier &&
         ((cell.read ^ cell.other_read) & Record::warp_mask) != 0;
}

// The same for an address, without looking at its cells, which are six times as large as the memory. Most reads
// are of global memory that was written by earlier launches and are already noted. Then the word's `known` is
// the time at which the launch, or the part after the last barrier, began.
template <std::size_t bytes>
inline bool read_is_known(std::uintptr_t address) {
  const std::uintptr_t offset = address - global_memory.begin;
  if (offset >= global_memory.bytes || offset % bytes != 0) return false;
  const std::uint32_t* const known = global_memory.known + offset / Watched::word;
  for (std::size_t i = 0; i < (bytes + Watched::word - 1) / Watched::word; ++i)
    if (known[i] != view.launch_time && known[i] != view.barrier_time) return false;
  return --view.patience > 0;
}

// Advances time by one and returns the new time. `start_*` begin a launch and a block of it.
std::uint64_t tick();
void start_launch(std::size_t dynamic_shared_bytes);
void start_block(std::size_t block);
void end_block();  // invalidates what the block left in shared memory

std::string block_text(std::size_t block);  // "block (3, 0, 0)" of the running launch

// Declares that the stacks of the fibers lie here, one after another, so that local memory is recognised.
void watch_stacks(std::uintptr_t begin, std::size_t count);

}  // namespace kindred::cuda::emulation
