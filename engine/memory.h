// A pool of memory for each device, with repeatable addresses.
//
// Given the same blocks in use and the same sequence of requests, a pool hands out the same addresses: it takes
// the smallest free block that fits and, among equals, the one at the lowest address. The addresses of one
// training step are therefore those of the next, which is what lets a step be captured once and replayed, and
// peak memory be predicted by running the same sequence of requests on the `plan` device, where a pool hands
// out addresses only.
#pragma once

#include <kindred/engine/device.h>

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

namespace kindred {

// Where a pool gets its memory from, in large slabs.
class SlabSource {
 public:
  virtual ~SlabSource() = default;
  virtual std::byte* acquire(std::size_t bytes) = 0;  // throws Error(device) when there is no more
  virtual void release(std::byte* slab, std::size_t bytes) = 0;
  // Sets bytes that are NaN as floats; see MemoryPool::set_poison.
  virtual void poison(std::byte* block, std::size_t bytes);
  // Told of every block that the pool hands out and is given back.
  virtual void handed_out(std::byte*, std::size_t) {}
  virtual void given_back(std::byte*) {}
};

struct PoolStatistics {
  std::size_t in_use = 0;         // bytes handed out now
  std::size_t peak_in_use = 0;    // the most that was handed out at once since reset_peak()
  std::size_t reserved = 0;       // bytes held in slabs
  std::size_t peak_reserved = 0;  // the most that was held in slabs since reset_peak()
};

class MemoryPool {
 public:
  static constexpr std::size_t alignment = 256;  // bytes; enough for any vector unit and for cuDNN

  explicit MemoryPool(std::unique_ptr<SlabSource> source) : source_(std::move(source)) {}
  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  std::byte* allocate(std::size_t bytes);
  void free(std::byte* address);
  void trim();  // gives slabs that are wholly free back to the source; not while recordings own them
  PoolStatistics statistics() const;
  void reset_peak();
  // For tests: fills every block that is handed out with bytes that are NaN as floats, so that a kernel that
  // leaves a part of its result unwritten is seen.
  void set_poison(bool poison) { poison_ = poison; }

  // For a recording (recording.h), which uses what it was handed out whenever it is started again. So from the
  // first one on, and while any lives, the pool hands out memory to recordings alone and keeps its slabs.
  void begin_recording();
  void end_recording(bool owns);  // `owns`: the recording came about
  void forget_recording();        // one that owned is gone
  bool is_recording() const;

 private:
  struct Block {
    std::size_t bytes;
    bool is_free;
    bool starts_slab;  // blocks are never merged across slabs
  };
  using Blocks = std::map<std::byte*, Block>;

  std::byte* add_slab(std::size_t bytes);
  Blocks::iterator merge_with_next(Blocks::iterator block);

  std::unique_ptr<SlabSource> source_;
  Blocks blocks_;                                      // every block of every slab, by address
  std::set<std::pair<std::size_t, std::byte*>> free_;  // free blocks by size, then address
  std::map<std::byte*, std::size_t> slabs_;
  PoolStatistics statistics_;
  bool poison_ = false;
  bool recording_ = false;
  int recordings_ = 0;  // that own what was handed out to them
  mutable std::mutex mutex_;
};

// The pool from which this thread allocates on a device: the process's own, or that of the innermost PoolScope.
// `reference` and `cpu` share the host's.
MemoryPool& memory_pool(Device device);

// A pool with slabs of its own. No tensor that came from another one is ever given its addresses.
std::shared_ptr<MemoryPool> new_memory_pool(Device device);

// While one of these lives, this thread's tensors on `device` come from `pool`. A tensor keeps its pool alive.
// Within a recording, all come from the recording's own.
class PoolScope {
 public:
  PoolScope(Device device, std::shared_ptr<MemoryPool> pool);
  ~PoolScope();
  PoolScope(const PoolScope&) = delete;
  PoolScope& operator=(const PoolScope&) = delete;

  const std::shared_ptr<MemoryPool>& pool() const { return pool_; }

 private:
  friend std::shared_ptr<MemoryPool> shared_memory_pool(Device device);
  Device device_;
  std::shared_ptr<MemoryPool> pool_;
  const PoolScope* outer_;
};

// memory_pool(device) for whoever must keep it alive.
std::shared_ptr<MemoryPool> shared_memory_pool(Device device);

}  // namespace kindred
