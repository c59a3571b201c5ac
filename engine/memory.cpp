#include <kindred/engine/device_kernels.h>
#include <kindred/engine/error.h>
#include <kindred/engine/memory.h>

#include <sys/mman.h>  // defines: mmap, madvise

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace kindred {
namespace {

// Small slabs waste little memory. Requests above this size get a slab of their own.
constexpr std::size_t smallest_slab = std::size_t{32} << 20;
constexpr std::size_t slab_granularity = std::size_t{2} << 20;  // a huge page

constexpr std::size_t round_up(std::size_t value, std::size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

class HostSlabs : public SlabSource {
 public:
  std::byte* acquire(std::size_t bytes) override {
    // Two megabytes more than requested, so that the slab can start on a huge page, which reduces TLB misses.
    void* map =
        mmap(nullptr, bytes + slab_granularity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
      throw OutOfMemory(fmt::format("out of memory: the host has no {} MiB more", bytes >> 20));
    auto* slab =
        reinterpret_cast<std::byte*>(round_up(reinterpret_cast<std::uintptr_t>(map), slab_granularity));
    madvise(slab, bytes, MADV_HUGEPAGE);  // only a hint: if it fails, only speed is lost
    origins_[slab] = map;
    return slab;
  }
  void release(std::byte* slab, std::size_t bytes) override {
    munmap(origins_.at(slab), bytes + slab_granularity);
    origins_.erase(slab);
  }

 private:
  std::map<std::byte*, void*> origins_;
};

// Addresses without memory, which are never touched. The `plan` device hands them out.
class ImaginarySlabs : public SlabSource {
 public:
  std::byte* acquire(std::size_t bytes) override {
    next_ += bytes + slab_granularity;
    return reinterpret_cast<std::byte*>(next_ - bytes);
  }
  void release(std::byte*, std::size_t) override {}
  void poison(std::byte*, std::size_t) override {}

 private:
  std::uintptr_t next_ = std::uintptr_t{1} << 44;
};

class GpuSlabs : public SlabSource {
 public:
  std::byte* acquire(std::size_t bytes) override {
    std::byte* slab = gpu().acquire(bytes);
    if (slab == nullptr) {
      std::size_t free = 0, total = 0;
      gpu().free_and_total(free, total);
      throw OutOfMemory(
          fmt::format("out of memory: {} MiB more were asked for, and the GPU has {} of {} MiB free",
                      bytes >> 20, free >> 20, total >> 20));
    }
    return slab;
  }
  void release(std::byte* slab, std::size_t) override { gpu().release(slab); }
  void poison(std::byte* block, std::size_t bytes) override { gpu().set_bytes(block, 0xff, bytes); }
  void handed_out(std::byte* block, std::size_t bytes) override {
    if (const GpuEmulation* emulation = gpu().emulation) emulation->handed_out(block, bytes);
  }
  void given_back(std::byte* block) override {
    if (const GpuEmulation* emulation = gpu().emulation) emulation->given_back(block);
  }
};

}  // namespace

void SlabSource::poison(std::byte* block, std::size_t bytes) {
  std::memset(block, 0xff, bytes);
}

MemoryPool::~MemoryPool() {
  for (auto [slab, bytes] : slabs_) source_->release(slab, bytes);
}

std::byte* MemoryPool::add_slab(std::size_t bytes) {
  const std::size_t size = round_up(std::max(bytes, smallest_slab), slab_granularity);
  std::byte* slab = source_->acquire(size);
  slabs_[slab] = size;
  blocks_[slab] = Block{size, true, true};
  free_.insert({size, slab});
  statistics_.reserved += size;
  statistics_.peak_reserved = std::max(statistics_.peak_reserved, statistics_.reserved);
  return slab;
}

std::byte* MemoryPool::allocate(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  check(recordings_ == 0 || recording_, ExitCode::internal,
        "{} bytes were asked for from a pool that recordings own; only another recording may use their memory",
        bytes);
  bytes = round_up(std::max<std::size_t>(bytes, 1), alignment);
  auto best = free_.lower_bound({bytes, nullptr});
  if (best == free_.end()) {
    add_slab(bytes);
    best = free_.lower_bound({bytes, nullptr});
  }
  std::byte* address = best->second;
  free_.erase(best);
  Block& block = blocks_.at(address);
  if (block.bytes > bytes) {  // the rest stays free
    blocks_[address + bytes] = Block{block.bytes - bytes, true, false};
    free_.insert({block.bytes - bytes, address + bytes});
    block.bytes = bytes;
  }
  block.is_free = false;
  statistics_.in_use += bytes;
  statistics_.peak_in_use = std::max(statistics_.peak_in_use, statistics_.in_use);
  source_->handed_out(address, bytes);
  if (poison_) source_->poison(address, bytes);
  return address;
}

MemoryPool::Blocks::iterator MemoryPool::merge_with_next(Blocks::iterator block) {
  const auto next = std::next(block);
  if (next == blocks_.end() || !next->second.is_free || !block->second.is_free || next->second.starts_slab)
    return block;
  free_.erase({block->second.bytes, block->first});
  free_.erase({next->second.bytes, next->first});
  block->second.bytes += next->second.bytes;
  blocks_.erase(next);
  free_.insert({block->second.bytes, block->first});
  return block;
}

void MemoryPool::free(std::byte* address) {
  const std::lock_guard lock(mutex_);
  const auto block = blocks_.find(address);
  check(block != blocks_.end() && !block->second.is_free, ExitCode::internal,
        "a block that is not in use was freed");
  source_->given_back(address);
  statistics_.in_use -= block->second.bytes;
  block->second.is_free = true;
  free_.insert({block->second.bytes, address});
  merge_with_next(block);
  if (block != blocks_.begin() && !block->second.starts_slab) merge_with_next(std::prev(block));
}

void MemoryPool::trim() {
  const std::lock_guard lock(mutex_);
  if (recording_ || recordings_ > 0) return;
  for (auto slab = slabs_.begin(); slab != slabs_.end();) {
    const auto block = blocks_.find(slab->first);
    if (block->second.is_free && block->second.bytes == slab->second) {
      free_.erase({block->second.bytes, block->first});
      blocks_.erase(block);
      source_->release(slab->first, slab->second);
      statistics_.reserved -= slab->second;
      slab = slabs_.erase(slab);
    } else {
      ++slab;
    }
  }
}

PoolStatistics MemoryPool::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

void MemoryPool::begin_recording() {
  const std::lock_guard lock(mutex_);
  check(!recording_, ExitCode::internal, "a pool was given to two recordings at once");
  recording_ = true;
}

void MemoryPool::end_recording(bool owns) {
  const std::lock_guard lock(mutex_);
  recording_ = false;
  recordings_ += owns ? 1 : 0;
}

void MemoryPool::forget_recording() {
  const std::lock_guard lock(mutex_);
  --recordings_;
}

bool MemoryPool::is_recording() const {
  const std::lock_guard lock(mutex_);
  return recording_;
}

void MemoryPool::reset_peak() {
  const std::lock_guard lock(mutex_);
  statistics_.peak_in_use = statistics_.in_use;
  statistics_.peak_reserved = statistics_.reserved;
}

namespace {

thread_local const PoolScope* innermost_scope = nullptr;

// Never destroyed: tensors with static lifetime may be freed after the end of main.
const std::shared_ptr<MemoryPool>& pool_of_process(Device device) {
  static auto* host = new std::shared_ptr<MemoryPool>(new_memory_pool(Device::cpu));
  static auto* plan = new std::shared_ptr<MemoryPool>(new_memory_pool(Device::plan));
  if (is_host(device)) return *host;
  if (device == Device::plan) return *plan;
  static auto* cuda = new std::shared_ptr<MemoryPool>(new_memory_pool(Device::cuda));
  return *cuda;
}

}  // namespace

std::shared_ptr<MemoryPool> new_memory_pool(Device device) {
  if (device == Device::cuda) return std::make_shared<MemoryPool>(std::make_unique<GpuSlabs>());
  if (device == Device::plan) return std::make_shared<MemoryPool>(std::make_unique<ImaginarySlabs>());
  return std::make_shared<MemoryPool>(std::make_unique<HostSlabs>());
}

PoolScope::PoolScope(Device device, std::shared_ptr<MemoryPool> pool)
    : device_(device), pool_(std::move(pool)), outer_(innermost_scope) {
  const std::shared_ptr<MemoryPool> current = shared_memory_pool(device);
  check(current == pool_ || !current->is_recording(), ExitCode::internal,
        "another pool was asked for within a recording; every plan must be chosen before the recording");
  innermost_scope = this;
}

PoolScope::~PoolScope() {
  innermost_scope = outer_;
}

std::shared_ptr<MemoryPool> shared_memory_pool(Device device) {
  for (const PoolScope* scope = innermost_scope; scope != nullptr; scope = scope->outer_)
    if (scope->device_ == device || (is_host(scope->device_) && is_host(device))) return scope->pool_;
  return pool_of_process(device);
}

MemoryPool& memory_pool(Device device) {
  return *shared_memory_pool(device);
}

}  // namespace kindred
