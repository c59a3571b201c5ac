// The functions that -fsanitize=thread,alignment makes a kernel call, without the sanitizers' libraries. Each
// access to memory is passed to note_access(), but for reads of what fences have ordered between blocks. On threads that run
// no kernel these functions only do the requested operation.
//
// The names and parameters are those of the compilers (GCC: gcc/sanitizer.def; clang adds the unaligned ones).
#include <kindred/engine/cuda/emulation/emulation.h>
#include <kindred/engine/cuda/emulation/memory.h>
#include <kindred/engine/cuda/emulation/places.h>
#include <kindred/engine/cuda/emulation/threads.h>

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

// ---- what fences order between the blocks of a launch

namespace kindred::cuda::emulation {
namespace {

// A thread came to an address after a fence. Then its block's accesses before the barrier that came before the fence are
// done, and its own before the fence.
struct Release {
  std::uint64_t block, barrier, fence;  // records: the block's first, the barrier, the fence

  bool covers(std::uint64_t record) const {
    if (record < block) return false;
    return record < barrier ||
           (Record::thread(record) == Record::thread(fence) && Record::time(record) <= Record::time(fence));
  }
};

// A thread came to an address, when so many had come there after a fence, and then had a fence itself.
struct Acquire {
  std::uint64_t fence;
  std::uintptr_t address;
  std::size_t releases;
};

struct Fences {
  std::uint64_t launch = 0, block = 0;
  std::map<std::uintptr_t, std::vector<Release>> releases;                  // of the launch
  std::map<unsigned, Release> last;                                         // of the running block, by thread:
  std::map<unsigned, std::map<std::uintptr_t, std::size_t>> since_a_fence;  // addresses that it came to
  std::vector<Acquire> acquires;                                            // of the running block

  void look_at_the_time() {
    if (std::exchange(launch, view.launch) != view.launch) releases.clear();
    if (std::exchange(block, view.block) == view.block) return;
    last.clear();
    since_a_fence.clear();
    acquires.clear();
  }
} fences;

// Whether the running thread may read what another block of this launch wrote.
bool is_ordered_by_fences(std::uintptr_t address, std::size_t bytes) {
  if (fences.acquires.empty() || fences.block != view.block) return false;
  const std::uintptr_t offset = address - global_memory.begin;
  if (offset >= global_memory.bytes) return false;
  const auto covered = [](std::uint64_t write) {
    return std::any_of(fences.acquires.begin(), fences.acquires.end(), [=](const Acquire& acquire) {
      if (acquire.fence >= view.barrier && Record::thread(acquire.fence) != running_thread()) return false;
      const std::vector<Release>& releases = fences.releases[acquire.address];
      return std::any_of(releases.begin(), releases.begin() + static_cast<std::ptrdiff_t>(acquire.releases),
                         [=](const Release& release) { return release.covers(write); });
    });
  };
  for (std::uintptr_t word = offset / Watched::word; word <= (offset + bytes - 1) / Watched::word; ++word) {
    const std::uint64_t write = global_memory.words[word].write;
    if (write < view.launch || write >= view.block || !covered(write)) return false;
  }
  return true;
}

}  // namespace

void fence() {
  if (!in_kernel) return;
  fences.look_at_the_time();
  const unsigned thread = running_thread();
  fences.last[thread] = {view.block, view.barrier, view.now};
  for (const auto& [address, releases] : fences.since_a_fence[thread])
    fences.acquires.push_back({view.now, address, releases});
  fences.since_a_fence[thread].clear();
}

void come_to(const void* address) {
  if (!in_kernel) return;
  fences.look_at_the_time();
  const unsigned thread = running_thread();
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  std::vector<Release>& releases = fences.releases[at];
  fences.since_a_fence[thread][at] = releases.size();
  const auto last = fences.last.find(thread);
  if (last != fences.last.end()) releases.push_back(last->second);
}

}  // namespace kindred::cuda::emulation

namespace {

using kindred::cuda::emulation::Access;

inline void note(const void* address, std::size_t bytes, Access access, const void* place) {
  using namespace kindred::cuda::emulation;
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  if (!in_kernel || at - view.stack < View::stack_bytes) return;
  if (access == Access::read && is_ordered_by_fences(at, bytes)) return;
  note_access(at, bytes, access, place);
}

template <std::size_t bytes>
inline void read(const void* address, const void* place) {
  if (kindred::cuda::emulation::read_is_known<bytes>(reinterpret_cast<std::uintptr_t>(address))) return;
  note(address, bytes, Access::read, place);
}

// The compiler's description of an access that is not aligned for its type.
struct Misalignment {
  const char* file;
  std::uint32_t line, column;
  struct Type {
    std::uint16_t kind, info;
    char name[1];
  } const* type;
  unsigned char log_alignment, kind;
};

void note_misalignment(const Misalignment& what, std::uintptr_t address) {
  using namespace kindred::cuda::emulation;
  if (!in_kernel) return;
  stop([=, thread = running_thread()] {
    return fmt::format(
        "misaligned address: thread {} takes {} at {}:{} from an address that is {} above a multiple of {}",
        thread, what.type->name, in_tree(what.file), what.line,
        address % (std::size_t{1} << what.log_alignment), 1 << what.log_alignment);
  });
}

}  // namespace

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

// clang-format off
#define KINDRED_PLACE __builtin_return_address(0)
#define KINDRED_ACCESSES(bytes)                                                                            \
  void __tsan_read##bytes(void* at) { read<bytes>(at, KINDRED_PLACE); }                                    \
  void __tsan_write##bytes(void* at) { note(at, bytes, Access::write, KINDRED_PLACE); }                    \
  void __tsan_unaligned_read##bytes(void* at) { note(at, bytes, Access::read, KINDRED_PLACE); }            \
  void __tsan_unaligned_write##bytes(void* at) { note(at, bytes, Access::write, KINDRED_PLACE); }          \
  void __tsan_volatile_read##bytes(void* at) { note(at, bytes, Access::read, KINDRED_PLACE); }             \
  void __tsan_volatile_write##bytes(void* at) { note(at, bytes, Access::write, KINDRED_PLACE); }
// clang-format on
KINDRED_ACCESSES(1)
KINDRED_ACCESSES(2)
KINDRED_ACCESSES(4)
KINDRED_ACCESSES(8)
KINDRED_ACCESSES(16)
#undef KINDRED_ACCESSES

void __tsan_read_range(void* at, std::size_t bytes) {
  note(at, bytes, Access::read, __builtin_return_address(0));
}
void __tsan_write_range(void* at, std::size_t bytes) {
  note(at, bytes, Access::write, __builtin_return_address(0));
}

// Atomic operations of the host's own code, such as reference counts. Kernels use CUDA's atomic operations
// (emulation.h).
#define KINDRED_ATOMICS(bits, T)                                                                        \
  T __tsan_atomic##bits##_load(const volatile T* at, int) {                                             \
    return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                                       \
  }                                                                                                     \
  void __tsan_atomic##bits##_store(volatile T* at, T value, int) {                                      \
    __atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                                      \
  }                                                                                                     \
  T __tsan_atomic##bits##_exchange(volatile T* at, T value, int) {                                      \
    return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);                                            \
  }                                                                                                     \
  T __tsan_atomic##bits##_fetch_add(volatile T* at, T value, int) {                                     \
    return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                     \
  T __tsan_atomic##bits##_fetch_sub(volatile T* at, T value, int) {                                     \
    return __atomic_fetch_sub(at, value, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                     \
  T __tsan_atomic##bits##_fetch_and(volatile T* at, T value, int) {                                     \
    return __atomic_fetch_and(at, value, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                     \
  T __tsan_atomic##bits##_fetch_or(volatile T* at, T value, int) {                                      \
    return __atomic_fetch_or(at, value, __ATOMIC_SEQ_CST);                                              \
  }                                                                                                     \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile T* at, T* expected, T value, int, int) {   \
    return __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }                                                                                                     \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile T* at, T* expected, T value, int, int) {     \
    return __atomic_compare_exchange_n(at, expected, value, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);  \
  }
KINDRED_ATOMICS(8, std::uint8_t)
KINDRED_ATOMICS(16, std::uint16_t)
KINDRED_ATOMICS(32, std::uint32_t)
KINDRED_ATOMICS(64, std::uint64_t)
#undef KINDRED_ATOMICS
void __tsan_atomic_thread_fence(int) {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
void __tsan_atomic_signal_fence(int) {}

void __ubsan_handle_type_mismatch_v1(const Misalignment* what, std::uintptr_t address) {
  note_misalignment(*what, address);
}
void __ubsan_handle_type_mismatch_v1_abort(const Misalignment* what, std::uintptr_t address) {
  note_misalignment(*what, address);
}

}  // extern "C"
