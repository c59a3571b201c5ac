#include <kindred/engine/cuda/emulation/emulation.h>
#include <kindred/engine/cuda/emulation/memory.h>
#include <kindred/engine/cuda/emulation/places.h>
#include <kindred/engine/cuda/emulation/threads.h>
#include <kindred/engine/error.h>

#include <fmt/core.h>
#include <sys/mman.h>  // defines: mmap, madvise

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

namespace kindred::cuda::emulation {

View view;
thread_local constinit bool in_kernel = false;

namespace {

constexpr std::size_t word = Watched::word;
constexpr std::uint64_t in_bytes = Watched::in_bytes;
constexpr std::size_t page = 4096;

// Reserves address space. It takes no memory until it is touched.
std::byte* reserve(std::size_t bytes) {
  void* map = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  check(map != MAP_FAILED, ExitCode::device,
        "the emulated GPU needs {} GiB of address space, which the system refuses; see `ulimit -v`",
        bytes >> 30);
  return static_cast<std::byte*>(map);
}

}  // namespace

Watched global_memory, shared_memory;

Watched::Watched(std::uintptr_t from, std::size_t count)
    : begin(from),
      bytes(count),
      words(reinterpret_cast<Cell*>(reserve((count / word + 1) * sizeof(Cell)))),
      single(reinterpret_cast<Cell*>(reserve((count + 1) * sizeof(Cell)))) {}

void Watched::forget(std::size_t offset, std::size_t count) const {
  const auto drop = []<typename T>(T* first, std::size_t items) {
    auto* const from = reinterpret_cast<std::byte*>(first);
    auto* const end = from + items * sizeof(T);
    auto* const inner = from + (page - reinterpret_cast<std::uintptr_t>(from) % page) % page;
    auto* const last = end - reinterpret_cast<std::uintptr_t>(end) % page;
    if (inner >= last) return static_cast<void>(std::memset(from, 0, items * sizeof(T)));
    std::memset(from, 0, static_cast<std::size_t>(inner - from));
    madvise(inner, static_cast<std::size_t>(last - inner), MADV_DONTNEED);
    std::memset(last, 0, static_cast<std::size_t>(end - last));
  };
  drop(words + offset / word, count / word);
  drop(single + offset, count);
  if (known != nullptr) drop(known + offset / word, count / word);
}

namespace {

// ---- the emulated GPU's memory

// Larger than the memory that the emulated GPU reports, because freed slabs leave holes.
constexpr std::size_t arena_bytes = std::size_t{32} << 30;

std::mutex arena_mutex;
bool* acquired_pages = nullptr;                   // pages of the arena
std::map<std::uintptr_t, std::size_t>& slabs() {  // address -> bytes
  static auto* const all =
      new std::map<std::uintptr_t, std::size_t>;  // never destroyed: tensors may outlive main
  return *all;
}

}  // namespace

std::byte* acquire_memory(std::size_t bytes) {
  bytes = (bytes + page - 1) / page * page;
  const std::lock_guard lock(arena_mutex);
  if (global_memory.words == nullptr) {
    acquired_pages = reinterpret_cast<bool*>(reserve(arena_bytes / page));
    global_memory = Watched(reinterpret_cast<std::uintptr_t>(reserve(arena_bytes)), arena_bytes);
    global_memory.known =
        reinterpret_cast<std::uint32_t*>(reserve((arena_bytes / word + 1) * sizeof(std::uint32_t)));
  }
  std::uintptr_t at = global_memory.begin;
  for (const auto& [address, taken] : slabs()) {
    if (address - at >= bytes + page) break;
    at = address + taken + page;  // an unused page in between, so that an access beyond the end is noticed
  }
  if (at + bytes > global_memory.begin + global_memory.bytes) return nullptr;
  slabs()[at] = bytes;
  std::fill_n(acquired_pages + (at - global_memory.begin) / page, bytes / page, true);
  return reinterpret_cast<std::byte*>(at);
}

void release_memory(std::byte* memory) {
  const std::lock_guard lock(arena_mutex);
  const auto slab = slabs().find(reinterpret_cast<std::uintptr_t>(memory));
  check(slab != slabs().end(), ExitCode::internal,
        "the emulated GPU was given back memory that it did not hand out");
  madvise(memory, slab->second, MADV_DONTNEED);
  global_memory.forget(slab->first - global_memory.begin, slab->second);
  std::fill_n(acquired_pages + (slab->first - global_memory.begin) / page, slab->second / page, false);
  slabs().erase(slab);
}

namespace {

// ---- the running launch

std::uint64_t clock_now = 0;
std::vector<std::pair<std::uint64_t, std::size_t>> block_starts;  // smallest record of the block, block
std::size_t most_shared = 0, shared_now = 0, dynamic_bytes = 0;
std::vector<std::uint32_t> touched_words, touched_bytes;  // offsets in `shared` that this block has written
std::uintptr_t stacks_begin = 0;
std::size_t stack_count = 0;
constexpr std::size_t stack_bytes = View::stack_bytes;
Image image;

alignas(16) thread_local constinit std::byte dynamic_memory[most_dynamic_shared] = {};

// The block that made this access in the running launch.
std::size_t block_of(std::uint64_t record) {
  const auto after =
      std::upper_bound(block_starts.begin(), block_starts.end(), record,
                       [](std::uint64_t value, const auto& start) { return value < start.first; });
  return after == block_starts.begin() ? 0 : std::prev(after)->second;
}

std::string thread_of_block(std::uint64_t record) {
  const unsigned thread = Record::thread(record);
  if (record >= view.block) return fmt::format("thread {} (warp {})", thread, thread / 32);
  return fmt::format("thread {} of {}", thread, block_text(block_of(record)));
}

std::string place_of(std::uint64_t record) {
  return line_of(image.begin + (record & Record::place_mask));
}

const char* verb(Access access) {
  return access == Access::read ? "reads" : access == Access::write ? "writes" : "atomically changes";
}

[[noreturn]] void report_race(std::uintptr_t address, Access access, std::uint64_t now, std::uint64_t before,
                              bool wrote) {
  stop([=] {
    const bool is_shared = address - shared_memory.begin < shared_memory.bytes;
    const char* missing = !is_shared && before < view.block ? "blocks of a launch have no order"
                          : Record::thread(before) / 32 == Record::thread(now) / 32
                              ? "no __syncwarp or __syncthreads stands between"
                              : "no __syncthreads stands between";
    return fmt::format("race on {} memory: thread {} (warp {}) {} at {} what {} {} at {}, and {}",
                       is_shared ? "shared" : "global", Record::thread(now), Record::thread(now) / 32,
                       verb(access), place_of(now), thread_of_block(before),
                       !wrote                               ? "read"
                       : (before & Record::atomic_bit) != 0 ? "changed atomically"
                                                            : "wrote",
                       place_of(before), missing);
  });
}

[[noreturn]] void report_unwritten(std::uint64_t now) {
  stop([=] {
    return fmt::format("thread {} (warp {}) reads shared memory at {} that no thread of its block has written",
                       Record::thread(now), Record::thread(now) / 32, place_of(now));
  });
}

// Returns true if an access of this block is ordered before the next access of the running thread.
bool is_before(std::uint64_t record) {
  if (record < view.barrier || ((record ^ view.now) & Record::thread_mask) == 0) return true;
  if (((record ^ view.now) & Record::warp_mask) != 0) return false;
  if (record < view.warp) return true;
  return view.lanes != nullptr && Record::time(record) < view.lanes[Record::thread(record) % 32];
}

template <bool is_shared>
bool is_settled(std::uint64_t record) {
  if constexpr (!is_shared) {
    if (record < view.launch) return true;
    if (record < view.block) return false;
  }
  return is_before(record);
}

// Of three reads, keeps the newest and the one that is most likely to conflict with a write.
void keep_read(Cell& cell, std::uint64_t now) {
  const bool same_thread = ((cell.read ^ now) & Record::thread_mask) == 0 && cell.read >= view.block;
  const bool other_block = cell.other_read >= view.launch && cell.other_read < view.block;
  const bool other_warp = cell.other_read >= view.barrier && ((cell.other_read ^ now) & Record::warp_mask) != 0;
  if (!same_thread && !other_block && !other_warp) cell.other_read = cell.read;
  cell.read = now;
}

template <bool is_shared, Access access>
inline void touch(Cell& cell, std::uintptr_t address, std::uint64_t now) {
  const auto race = [&](std::uint64_t before, bool wrote) { report_race(address, access, now, before, wrote); };
  if constexpr (access == Access::read) {
    if (read_is_known<is_shared>(cell)) return;
    if (is_shared && cell.write < view.block) report_unwritten(now);
    if (!is_settled<is_shared>(cell.write)) race(cell.write, true);
    keep_read(cell, now);
  } else {
    if (is_shared && access == Access::atomic && cell.write < view.block) report_unwritten(now);
    const bool both_atomic = access == Access::atomic && (cell.write & Record::atomic_bit) != 0;
    if (!both_atomic && !is_settled<is_shared>(cell.write)) race(cell.write, true);
    if (!is_settled<is_shared>(cell.read)) race(cell.read, false);
    if (!is_settled<is_shared>(cell.other_read)) race(cell.other_read, false);
    cell = {now, 0, 0};
  }
}

// Records the bytes of shared memory that a block writes for the first time.
void count_shared(std::vector<std::uint32_t>& list, std::size_t offset, std::size_t bytes) {
  list.push_back(static_cast<std::uint32_t>(offset));
  const std::size_t in_dynamic =
      shared_memory.begin + offset - reinterpret_cast<std::uintptr_t>(dynamic_memory);
  if (in_dynamic < most_dynamic_shared) {
    if (in_dynamic + bytes <= dynamic_bytes) return;
    stop([in_dynamic] {
      return fmt::format("it writes byte {} of its dynamic shared memory, of which it was launched with {}",
                         in_dynamic, dynamic_bytes);
    });
  }
  shared_now += bytes;
  if (shared_now <= most_static_shared) return;
  stop([] {
    return fmt::format(
        "it uses more than {} bytes of static shared memory in a block, the most that a GPU has; more is "
        "dynamic (dynamic_shared)",
        most_static_shared);
  });
}

// The value of Watched::known for a cell of global memory. 0: no thread's reads are noted.
std::uint32_t known_time(const Cell& cell) {
  if (cell.write >= view.launch) return 0;
  if (cell.read < view.block && cell.read >= view.launch) return view.launch_time;
  const bool two_warps = cell.read >= view.barrier && cell.other_read >= view.barrier &&
                         ((cell.read ^ cell.other_read) & Record::warp_mask) != 0;
  return two_warps ? view.barrier_time : 0;
}

template <bool is_shared, Access access>
void note_bytes(const Watched& memory, std::size_t offset, std::size_t bytes, std::uint64_t now) {
  for (std::size_t i = offset; i < offset + bytes; ++i) {
    Cell& whole = memory.words[i / word];
    Cell* const of_word = memory.single + i / word * word;
    if (whole.write != in_bytes) {
      std::fill_n(of_word, word, whole);
      whole = {in_bytes, 0, 0};
    }
    Cell& cell = memory.single[i];
    if (is_shared && access != Access::read && cell.write < view.block) count_shared(touched_bytes, i, 1);
    touch<is_shared, access>(cell, memory.begin + i, now);
    if (is_shared) continue;
    std::uint32_t& known = memory.known[i / word];
    known = access == Access::read ? known_time(of_word[0]) : 0;
    for (std::size_t other = 1; other < word && known != 0; ++other)
      if (known_time(of_word[other]) != known) known = 0;
  }
}

template <bool is_shared, Access access>
inline void note(const Watched& memory, std::size_t offset, std::size_t bytes, std::uint64_t now) {
  for (; bytes >= word && offset % word == 0; offset += word, bytes -= word) {
    Cell& cell = memory.words[offset / word];
    if (cell.write == in_bytes) {
      note_bytes<is_shared, access>(memory, offset, word, now);
      if (access != Access::read) cell = {now, 0, 0};  // one access covers all of it: it is a whole word again
      continue;
    }
    if (is_shared && access != Access::read && cell.write < view.block)
      count_shared(touched_words, offset, word);
    touch<is_shared, access>(cell, memory.begin + offset, now);
    if (!is_shared) memory.known[offset / word] = access == Access::read ? known_time(cell) : 0;
  }
  if (bytes > 0) note_bytes<is_shared, access>(memory, offset, bytes, now);
}

bool is_acquired(std::size_t offset, std::size_t bytes) {
  return acquired_pages[offset / page] && acquired_pages[(offset + bytes - 1) / page];
}

[[noreturn]] void report_illegal(const char* memory, Access access, const void* place) {
  stop([=, thread = running_thread()] {
    return fmt::format("illegal address: thread {} {} at {} memory {}", thread, verb(access),
                       line_of(reinterpret_cast<std::uintptr_t>(place)), memory);
  });
}

// An access outside shared memory, global memory and the thread's own stack.
void note_elsewhere(std::uintptr_t address, Access access, const void* place) {
  const bool on_stack = address - stacks_begin < stack_bytes * stack_count;
  if (!on_stack && address - image.begin < image.end - image.begin) return;
  if (!on_stack) report_illegal("of the host", access, place);
  stop([=, thread = running_thread()] {
    return fmt::format("thread {} {} at {} a local variable of thread {}, which no other thread can reach",
                       thread, verb(access), line_of(reinterpret_cast<std::uintptr_t>(place)),
                       (address - stacks_begin) / stack_bytes);
  });
}

template <Access access>
inline void note_kind(std::uintptr_t address, std::size_t bytes, const void* place) {
  view.patience -= access == Access::atomic ? View::of_atomic : 1;
  if (view.patience <= 0)
    stop([=, thread = running_thread()] {
      return fmt::format(
          "thread {} {} at {} again and again, and no thread of its block ends or waits: of other "
          "blocks nobody can wait for anything",
          thread, verb(access), line_of(reinterpret_cast<std::uintptr_t>(place)));
    });
  const std::uint64_t now = view.now |
                            ((reinterpret_cast<std::uintptr_t>(place) - image.begin) & Record::place_mask) |
                            (access == Access::atomic ? Record::atomic_bit : 0);
  if (address - shared_memory.begin < shared_memory.bytes)
    return note<true, access>(shared_memory, address - shared_memory.begin, bytes, now);
  if (address - global_memory.begin < global_memory.bytes) {
    const std::size_t offset = address - global_memory.begin;
    if (!is_acquired(offset, bytes))
      report_illegal("of the GPU that was not acquired, or was released", access, place);
    return note<false, access>(global_memory, offset, bytes, now);
  }
  note_elsewhere(address, access, place);
}

}  // namespace

void note_access(std::uintptr_t address, std::size_t bytes, Access access, const void* place) {
  if (access == Access::read) return note_kind<Access::read>(address, bytes, place);
  if (access == Access::write) return note_kind<Access::write>(address, bytes, place);
  note_kind<Access::atomic>(address, bytes, place);
}

std::uint64_t tick() {
  if (++clock_now > Record::latest_time)
    stop([] { return "it waits too often for the emulation to keep count"; });
  return clock_now;
}

std::size_t shared_bytes_used() {
  return most_shared;
}

void start_launch(std::size_t dynamic_shared_bytes) {
  dynamic_bytes = dynamic_shared_bytes;
  if (image.end == 0) image = program_image();
  const Image here = program_image();  // with the thread-locals of this thread
  if (shared_memory.begin != here.thread_locals) {
    if (shared_memory.words == nullptr)
      shared_memory = Watched(here.thread_locals, here.thread_local_bytes);
    else
      shared_memory.begin = here.thread_locals;
  }
  if (clock_now > Record::latest_time / 2) {
    clock_now = 0;
    shared_memory.forget(0, shared_memory.bytes);
    for (const auto& [address, bytes] : slabs()) global_memory.forget(address - global_memory.begin, bytes);
  }
  block_starts.clear();
  most_shared = 0;
  view = {};
  view.launch_time = static_cast<std::uint32_t>(tick());
  view.launch = view.block = std::uint64_t{view.launch_time} << Record::time_shift;
}

void start_block(std::size_t block) {
  view.block = view.barrier = view.warp = tick() << Record::time_shift;
  view.lanes = nullptr;
  block_starts.emplace_back(view.block, block);
  shared_now = 0;
  touched_words.clear();
  touched_bytes.clear();
}

void end_block() {
  // As a float, a double or a half this is NaN; as an index it is far out of range.
  constexpr std::uint32_t poison = 0x7fff7fff;
  for (const std::uint32_t offset : touched_words)
    *reinterpret_cast<std::uint32_t*>(shared_memory.begin + offset) = poison;
  for (const std::uint32_t offset : touched_bytes)
    *reinterpret_cast<unsigned char*>(shared_memory.begin + offset) = offset % 2 == 0 ? 0xff : 0x7f;
  most_shared = std::max(most_shared, shared_now);
}

void watch_stacks(std::uintptr_t begin, std::size_t count) {
  stacks_begin = begin;
  stack_count = count;
}

void* dynamic_shared_memory() {
  return dynamic_memory;
}

}  // namespace kindred::cuda::emulation
