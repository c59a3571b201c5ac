// A memory pool for each device, with repeatable addresses.
//
// A pool takes the smallest free block that fits and, among equals, the one at the lowest address. So the same
// blocks in use and the same sequence of requests give the same addresses, and the addresses of one training
// step are those of the next. This allows a step to be captured once and replayed. It also allows peak memory
// to be predicted: the same requests run on the `plan` device, whose pool hands out addresses without memory.
#pragma once

#include <kindred/engine/device.h>

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

namespace kindred {

// Where a pool gets its memory, in large slabs.
class SlabSource {
 public:
  virtual ~SlabSource() = default;
  virtual std::byte* acquire(std::size_t bytes) = 0;  // throws Error(device) if there is no more memory
  virtual void release(std::byte* slab, std::size_t bytes) = 0;
  // Fills the block with bytes that are NaN when read as floats; see MemoryPool::set_poison.
  virtual void poison(std::byte* block, std::size_t bytes);
  // The pool reports every block that it hands out, and every block that it gets back.
  virtual void handed_out(std::byte*, std::size_t) {}
  virtual void given_back(std::byte*) {}
};

struct PoolStatistics {
  std::size_t in_use = 0;         // bytes handed out at present
  std::size_t peak_in_use = 0;    // the maximum of in_use since reset_peak()
  std::size_t reserved = 0;       // bytes held in slabs
  std::size_t peak_reserved = 0;  // the maximum of reserved since reset_peak()
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
  void trim();  // returns completely free slabs to the source; does nothing while recordings own them
  PoolStatistics statistics() const;
  void reset_peak();
  // For tests: fills every block that is handed out with bytes that are NaN when read as floats. A kernel that
  // leaves part of its result unwritten is then noticed.
  void set_poison(bool poison) { poison_ = poison; }

  // For a recording (recording.h), which uses its memory again at every replay. From the first recording on,
  // and while any of them exists, the pool hands out memory to recordings only and keeps its slabs.
  void begin_recording();
  void end_recording(bool owns);  // `owns`: the recording succeeded and owns its memory
  void forget_recording();        // a recording that owned memory was destroyed
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
  int recordings_ = 0;  // recordings that own the memory handed out to them
  mutable std::mutex mutex_;
};

// The pool from which this thread allocates on a device: that of the innermost PoolScope, or else the process's
// own. `reference` and `cpu` share the host's pool.
MemoryPool& memory_pool(Device device);

// A pool with its own slabs. Tensors of other pools never get its addresses.
std::shared_ptr<MemoryPool> new_memory_pool(Device device);

// While a PoolScope exists, this thread's tensors on `device` come from `pool`. A tensor keeps its pool alive.
// Within a recording, all tensors come from the recording's own pool.
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

// As memory_pool(device), for callers that must keep the pool alive.
std::shared_ptr<MemoryPool> shared_memory_pool(Device device);

}  // namespace kindred
