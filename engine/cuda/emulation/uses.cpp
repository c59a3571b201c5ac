#include <kindred/engine/cuda/emulation/emulation.h>
#include <kindred/engine/cuda/emulation/places.h>
#include <kindred/engine/cuda/emulation/uses.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>

namespace kindred::cuda::emulation {
namespace {

using Address = std::uintptr_t;

struct Block {
  std::size_t bytes;
  std::uint64_t serial;
  bool in_recording;                    // handed out during a recording
  std::vector<std::size_t> parts = {};  // where they begin, ascending; empty: the block is one
};

struct Slab {
  std::size_t bytes;
  std::uint64_t serial;
  bool is_pinned;
  bool has_blocks = false;  // the slab belongs to a pool
};

// Never destroyed: tensors with static lifetime give their blocks back after the end of main.
struct Memory {
  std::mutex mutex;
  std::map<Address, Slab> slabs;
  std::map<Address, Block> blocks;  // in use
  std::uint64_t slab_serial = 0, block_serial = 0;
};

Memory& memory() {
  static auto* all = new Memory;
  return *all;
}

// The entry of `entries` that contains `address`, or else the one that ends there, or end(). The end counts
// because a pointer to zero elements may point there.
template <typename Entries>
auto find(Entries& entries, Address address) {
  auto entry = entries.upper_bound(address);
  if (entry == entries.begin()) return entries.end();
  --entry;
  return address <= entry->first + entry->second.bytes ? entry : entries.end();
}

enum class Extent { to_end_of_block, to_end_of_part };

// From `address` to the end of the part, block, slab or area that contains it; nullopt if none does.
std::optional<Use> find_use(Address address, bool writes, Extent extent) {
  Memory& m = memory();
  const auto slab = find(m.slabs, address);
  if (slab == m.slabs.end()) return std::nullopt;
  Use use{address, slab->first + slab->second.bytes, writes, slab->second.serial, 0};
  if (!slab->second.has_blocks) return use;
  const auto block = find(m.blocks, address);
  if (block == m.blocks.end() || block->first < slab->first) return std::nullopt;
  use.end = block->first + block->second.bytes;
  use.block = block->second.serial;
  if (extent == Extent::to_end_of_part) {
    const std::vector<std::size_t>& parts = block->second.parts;
    const auto next = std::upper_bound(parts.begin(), parts.end(), address - block->first);
    if (next != parts.end()) use.end = block->first + *next;
  }
  return use;
}

std::byte* acquire(std::size_t bytes, bool is_pinned) {
  const std::size_t size = (bytes + 4095) / 4096 * 4096;
  auto* area = is_pinned ? static_cast<std::byte*>(std::aligned_alloc(4096, size)) : acquire_memory(size);
  if (area == nullptr) return nullptr;
  std::memset(area, 0xff, size);  // NaN, because the previous content is undefined
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  m.slabs[reinterpret_cast<Address>(area)] = Slab{bytes, ++m.slab_serial, is_pinned};
  return area;
}

void release(void* area) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const auto slab = m.slabs.find(reinterpret_cast<Address>(area));
  if (slab == m.slabs.end()) return;
  const bool is_pinned = slab->second.is_pinned;
  m.blocks.erase(m.blocks.lower_bound(slab->first), m.blocks.lower_bound(slab->first + slab->second.bytes));
  m.slabs.erase(slab);
  if (is_pinned)
    std::free(area);
  else
    release_memory(static_cast<std::byte*>(area));
}

}  // namespace

bool conflict(const Use& a, const Use& b) {
  return a.begin < b.end && b.begin < a.end && (a.writes || b.writes);
}

std::byte* acquire_slab(std::size_t bytes) {
  return acquire(bytes, false);
}

void release_slab(std::byte* slab) {
  release(slab);
}

void* acquire_pinned(std::size_t bytes) {
  return acquire(bytes, true);
}

void release_pinned(void* address) {
  release(address);
}

void hand_out_block(std::byte* block, std::size_t bytes, bool in_recording) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const auto address = reinterpret_cast<Address>(block);
  const auto slab = find(m.slabs, address);
  check(slab != m.slabs.end(), ExitCode::internal,
        "a pool returned an address that is not in the GPU's memory");
  slab->second.has_blocks = true;
  m.blocks[address] = Block{bytes, ++m.block_serial, in_recording};
}

void take_back_block(std::byte* block) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  m.blocks.erase(reinterpret_cast<Address>(block));
}

void divide_block(std::byte* block, const std::vector<std::size_t>& begins) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const auto found = m.blocks.find(reinterpret_cast<Address>(block));
  check(found != m.blocks.end(), ExitCode::internal, "a block was divided that is not in use");
  found->second.parts = begins;
}

std::uint64_t newest_block() {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  return m.block_serial;
}

Place place_of(const void* address) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const auto slab = find(m.slabs, reinterpret_cast<Address>(address));
  if (slab == m.slabs.end()) return Place::elsewhere;
  return slab->second.is_pinned ? Place::pinned : Place::gpu;
}

Use exact_use(const void* address, std::size_t bytes, bool writes, const std::string& what) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const auto begin = reinterpret_cast<Address>(address);
  std::optional<Use> use = find_use(begin, writes, Extent::to_end_of_block);
  check(use && begin + bytes <= use->end, ExitCode::internal,
        "{} uses {} bytes that belong neither to a tensor nor to pinned memory", what, bytes);
  use->end = begin + bytes;
  return *use;
}

bool is_there(const Use& use) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const auto slab = find(m.slabs, use.begin);
  return slab != m.slabs.end() && slab->second.serial == use.slab;
}

std::string why_gone(const Use& use, std::uint64_t first_block) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const auto slab = find(m.slabs, use.begin);
  if (slab == m.slabs.end() || slab->second.serial != use.slab) return "was released";
  if (use.block == 0 || use.begin == use.end) return "";
  auto block = find(m.blocks, use.begin);
  if (block != m.blocks.end() && use.begin == block->first + block->second.bytes) block = m.blocks.end();
  const bool in_use = block != m.blocks.end();
  if (use.block > first_block)
    return in_use && block->second.serial > first_block && !block->second.in_recording
               ? "was handed out to somebody else"
               : "";
  if (!in_use) return "was given back to its pool";
  return block->second.serial == use.block ? "" : "was handed out to somebody else";
}

std::optional<Use> pointer_use(const void* kernel, const void* pointer, bool writes) {
  if (pointer == nullptr) return std::nullopt;
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const std::optional<Use> use = find_use(reinterpret_cast<Address>(pointer), writes, Extent::to_end_of_part);
  if (!use)
    fail(ExitCode::internal,
         "{} was given an address that belongs to no tensor: it is the host's, or was given back to the pool",
         kernel_name(kernel));
  return use;
}

std::optional<Use> word_use(std::uintptr_t word) {
  if (word == 0) return std::nullopt;
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  return find_use(word, true, Extent::to_end_of_block);
}

}  // namespace kindred::cuda::emulation
