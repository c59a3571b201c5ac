// Who read and wrote which byte of an emulated GPU's memory: what finds races, memory that nobody wrote, and
// addresses that a GPU cannot reach. Internal to the emulation (emulation.h).
//
// The kernels of the emulation are compiled with -fsanitize=thread, which puts a call before each access to
// memory. Those calls end here (emulation_hooks.cpp) instead of in a sanitizer's library. Addresses tell what
// is meant:
//   - shared memory: __shared__ variables are thread_local, so they lie where the host thread's are;
//   - global memory: the arena from which the emulated device takes all of its memory;
//   - local memory: the stack of a fiber, which no other thread may touch;
//   - constants: the program's own image.
// Anything else is memory of the host, which a GPU does not see.
//
// Of each word of four bytes the last write and two reads are kept; a word of which a part was accessed is kept
// byte by byte. Two accesses of which one writes are a race, unless both are of one thread, or both are atomic,
// or something puts them in order:
//   - a __syncthreads, between any two threads of a block;
//   - a __syncwarp whose mask has both, between two threads of a warp (a shuffle, a vote or a product of
//     tensor cores does not order memory);
//   - the end of a launch, between any two threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace kindred::cuda::emulation {

// An access: when it was made, whether it was atomic, by which thread of its block, and where in the program.
// Later ones are greater.
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

// What the running thread may take for done before its next access, as the least record that is not.
struct View {
  static constexpr std::int64_t all_patience = std::int64_t{1} << 28, of_atomic = 1 << 10;
  static constexpr std::size_t stack_bytes = std::size_t{128} << 10;

  std::uint64_t now = 0;      // the next access's time and thread
  std::uint64_t launch = 0;   // accesses of earlier launches are below
  std::uint64_t block = 0;    // of blocks that ran before in this launch
  std::uint64_t barrier = 0;  // before the last __syncthreads
  std::uint64_t warp = 0;     // before the last __syncwarp of the whole warp; not below `barrier`
  std::uint32_t launch_time = 1, barrier_time = 1;  // the same as times
  // Accesses that are left until somebody must have ended, or waited: a thread that looks for ever at what
  // another would change is no use. An atomic one counts for many.
  std::int64_t patience = 0;
  std::uintptr_t stack = 0;              // its own, of stack_bytes
  const std::uint32_t* lanes = nullptr;  // [32] times before which each lane's accesses are known; or null
};
extern View view;

// True on the host thread that runs a kernel, while it does.
extern thread_local constinit bool in_kernel;

enum class Access : std::uint8_t { read, write, atomic };

// What is known of a word or of a byte; 0: nothing. Of the reads the newest, and the other that is most likely
// in the way of a write.
struct Cell {
  std::uint64_t write, read, other_read;
};

// A stretch of memory with its cells.
struct Watched {
  static constexpr std::size_t word = 4;
  static constexpr std::uint64_t in_bytes = ~std::uint64_t{0};  // as a word's `write`: look at its bytes

  std::uintptr_t begin = 0;
  std::size_t bytes = 0;
  Cell *words = nullptr, *single = nullptr;
  std::uint32_t* known = nullptr;  // [words] of global memory: see read_is_known()

  Watched() = default;
  Watched(std::uintptr_t from, std::size_t count);
  void forget(std::size_t offset, std::size_t count) const;
};
extern Watched global_memory, shared_memory;

// One access of the running thread; `place` is the address of the instruction after it.
void note_access(std::uintptr_t address, std::size_t bytes, Access access, const void* place);

// Whether a read by the running thread would change nothing that matters: what was written is settled, and a
// read that is known is in the way of every write that this one would be in the way of.
template <bool is_shared>
inline bool read_is_known(const Cell& cell) {
  if (is_shared) {
    if (cell.write >= view.barrier || cell.write < view.block) return false;
  } else {
    if (cell.write >= view.launch) return false;
    if (cell.read < view.block && cell.read >= view.launch) return true;  // of a block that has ended
  }
  if (cell.read >= view.warp && ((cell.read ^ view.now) & Record::thread_mask) == 0) return true;
  return cell.read >= view.barrier && cell.other_read >= view.barrier &&
         ((cell.read ^ cell.other_read) & Record::warp_mask) != 0;
}

// The same for an address, without a look at its cells, which are six times as large as the memory: most reads
// are of global memory that was written by earlier launches, and known. Then the word's `known` is the time at
// which the launch or what followed the last barrier began.
template <std::size_t bytes>
inline bool read_is_known(std::uintptr_t address) {
  const std::uintptr_t offset = address - global_memory.begin;
  if (offset >= global_memory.bytes || offset % bytes != 0) return false;
  const std::uint32_t* const known = global_memory.known + offset / Watched::word;
  for (std::size_t i = 0; i < (bytes + Watched::word - 1) / Watched::word; ++i)
    if (known[i] != view.launch_time && known[i] != view.barrier_time) return false;
  return --view.patience > 0;
}

// Time goes on by one; returns the new time. `start_*` begin a launch and a block of it.
std::uint64_t tick();
void start_launch(std::size_t dynamic_shared_bytes);
void start_block(std::size_t block);
void end_block();  // makes what it left in shared memory useless

std::string block_text(std::size_t block);  // "block (3, 0, 0)" of the launch that runs

// Stacks of the fibers lie here, one after another, so that local memory is known.
void watch_stacks(std::uintptr_t begin, std::size_t count);

}  // namespace kindred::cuda::emulation
