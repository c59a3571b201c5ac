// Copies that arrive as late as they may. Between its start and the wait of its thread, a copy's place in shared
// memory holds NaN, and its bytes count as not written. This is how errors are found:
//   - a read before the wait, by any thread: a read of memory that no thread of the block has written;
//   - a read by another thread without a barrier after the wait: a race, because the copy is noted as a write
//     at the time of the wait;
//   - a start without a barrier since other threads used the place: a race, because it is noted as a write then
//     too;
//   - a write to the place while the copy is under way, by any thread, barrier or not: an error of its own.
// Of the source, both the start and the wait are noted as reads.
//
// This source's own accesses are not recorded (mma.cpp does the same).
#include <kindred/engine/cuda/emulation/async_copy.h>

#include <kindred/engine/cuda/emulation/emulation.h>
#include <kindred/engine/cuda/emulation/memory.h>
#include <kindred/engine/cuda/emulation/places.h>
#include <kindred/engine/cuda/emulation/threads.h>

#include <fmt/core.h>

#include <array>
#include <vector>

namespace kindred::cuda {
namespace emulation {
namespace {

constexpr std::size_t word = Watched::word;

struct Copy {
  std::uint32_t* to;
  const std::uint32_t* from;  // null for zeros
  std::size_t words;
  const void* place;           // in the program,
  std::uint64_t record_place;  // also as a record has it
};

// The copies that a thread has started since it last waited. A block may end while copies are under way; they
// concern nobody any more.
struct UnderWay {
  std::uint64_t block = 0;
  std::vector<Copy> copies;
};
std::array<UnderWay, most_block_threads> of_threads;

std::vector<Copy>& under_way() {
  UnderWay& own = of_threads[running_thread()];
  if (own.block != view.block) own.copies.clear();
  own.block = view.block;
  return own.copies;
}

std::string line(const void* place) {
  return line_of(reinterpret_cast<std::uintptr_t>(place));
}

Cell* cells(const std::uint32_t* to) {
  return shared_memory.words + (reinterpret_cast<std::uintptr_t>(to) - shared_memory.begin) / word;
}

void check_addresses(std::uintptr_t to, std::uintptr_t from, std::size_t bytes, const void* place) {
  const std::uintptr_t wrong = to % bytes != 0 ? to : from;
  if (wrong % bytes != 0)
    stop([=, thread = running_thread()] {
      return fmt::format(
          "misaligned address: thread {} copies {} bytes at {} {} an address that is {} above a multiple of {}",
          thread, bytes, line(place), wrong == to ? "to" : "from", wrong % bytes, bytes);
    });
  if (to - shared_memory.begin >= shared_memory.bytes)
    stop([=, thread = running_thread()] {
      return fmt::format(
          "illegal address: thread {} starts a copy at {} to an address that is not in shared memory", thread,
          line(place));
    });
  if (from != 0 && from - global_memory.begin >= global_memory.bytes)
    stop([=, thread = running_thread()] {
      return fmt::format(
          "illegal address: thread {} starts a copy at {} from an address that is not in global memory", thread,
          line(place));
    });
}

void arrive(const Copy& copy) {
  const std::size_t bytes = copy.words * word;
  if (copy.from != nullptr)
    note_access(reinterpret_cast<std::uintptr_t>(copy.from), bytes, Access::read, copy.place);
  Cell* const cell = cells(copy.to);
  for (std::size_t i = 0; i < copy.words; ++i)
    if (cell[i].write != 0)
      stop([=, thread = running_thread()] {
        return fmt::format(
            "the copy that thread {} started at {} arrives where a thread wrote while it was under way", thread,
            line(copy.place));
      });
  // What note_access() would note. The bytes have been counted as the block's when the copy was started.
  const std::uint64_t record = view.now | copy.record_place;
  for (std::size_t i = 0; i < copy.words; ++i) {
    cell[i] = {record, 0, 0};
    copy.to[i] = copy.from != nullptr ? copy.from[i] : 0;
  }
}

void start(Copy copy) {
  const std::size_t bytes = copy.words * word;
  if (copy.from != nullptr)
    note_access(reinterpret_cast<std::uintptr_t>(copy.from), bytes, Access::read, copy.place);
  note_access(reinterpret_cast<std::uintptr_t>(copy.to), bytes, Access::write, copy.place);
  constexpr std::uint32_t poison = 0x7fff7fff;
  Cell* const cell = cells(copy.to);
  copy.record_place = cell[0].write & Record::place_mask;
  for (std::size_t i = 0; i < copy.words; ++i) {
    cell[i] = {};  // not written
    copy.to[i] = poison;
  }
  under_way().push_back(copy);
}

}  // namespace
}  // namespace emulation

void emulated::async_copy(void* to, const void* from, std::size_t bytes, bool whole) {
  using namespace emulation;
  const void* const place = __builtin_return_address(0);
  const void* const source = whole ? from : nullptr;
  check_addresses(reinterpret_cast<std::uintptr_t>(to), reinterpret_cast<std::uintptr_t>(source), bytes, place);
  start({static_cast<std::uint32_t*>(to), static_cast<const std::uint32_t*>(source), bytes / word, place, 0});
}

void wait_for_copies() {
  using namespace emulation;
  std::vector<Copy>& copies = under_way();
  for (const Copy& copy : copies) arrive(copy);
  copies.clear();
}

std::size_t most_shared_bytes() {
  return emulation::most_dynamic_shared;
}

}  // namespace kindred::cuda
