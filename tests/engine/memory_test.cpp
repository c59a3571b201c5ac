#include <doctest/doctest.h>
#include <kindred/engine/error.h>
#include <kindred/engine/memory.h>
#include <kindred/engine/random/philox.h>
#include <kindred/engine/tensor.h>

#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

namespace kindred {
namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;

// Real memory with a limit, which counts the bytes that are handed out.
class LimitedSlabs : public SlabSource {
 public:
  explicit LimitedSlabs(std::size_t* held, std::size_t limit = ~std::size_t{0}) : held_(held), limit_(limit) {}
  std::byte* acquire(std::size_t bytes) override {
    check(*held_ + bytes <= limit_, ExitCode::device, "out of memory");
    *held_ += bytes;
    return static_cast<std::byte*>(std::aligned_alloc(4096, bytes));
  }
  void release(std::byte* slab, std::size_t bytes) override {
    *held_ -= bytes;
    std::free(slab);
  }

 private:
  std::size_t* held_;
  std::size_t limit_;
};

// Slabs that follow each other without a gap, as the system's may.
class AdjacentSlabs : public SlabSource {
 public:
  std::byte* acquire(std::size_t bytes) override { return std::exchange(next_, next_ + bytes); }
  void release(std::byte*, std::size_t) override {}

 private:
  std::vector<std::byte> arena_ = std::vector<std::byte>(200 * mebibyte);
  std::byte* next_ = arena_.data();
};

struct Pool {
  std::size_t held = 0;
  MemoryPool pool;
  explicit Pool(std::size_t limit = ~std::size_t{0}) : pool(std::make_unique<LimitedSlabs>(&held, limit)) {}
};

bool is_aligned(const std::byte* address) {
  return reinterpret_cast<std::uintptr_t>(address) % MemoryPool::alignment == 0;
}

TEST_CASE("memory pool: the same requests get the same addresses") {
  Pool p;
  std::byte* parameters = p.pool.allocate(3 * mebibyte);  // stays allocated, as in training
  const auto one_step = [&] {
    std::vector<std::byte*> log, live;
    RandomStream random(3, Purpose::test);
    for (int i = 0; i < 2000; ++i) {
      if (!live.empty() && random.below(2) == 0) {
        const std::size_t victim = random.below(static_cast<std::uint32_t>(live.size()));
        p.pool.free(live[victim]);
        live.erase(live.begin() + static_cast<std::ptrdiff_t>(victim));
      } else {
        live.push_back(p.pool.allocate(1 + random.below(200'000)));
        log.push_back(live.back());
      }
    }
    for (std::byte* address : live) p.pool.free(address);
    return log;
  };
  one_step();  // the first may still add slabs
  const auto second = one_step();
  CHECK(one_step() == second);
  CHECK(one_step() == second);
  p.pool.free(parameters);
}

TEST_CASE("memory pool: blocks are aligned, do not overlap, and keep their bytes") {
  Pool p;
  struct Live {
    std::byte* address;
    std::size_t bytes;
    int mark;
  };
  std::vector<Live> live;
  RandomStream random(4, Purpose::test);
  bool intact = true, aligned = true;
  const auto release = [&](std::size_t i) {
    for (std::size_t b = 0; b < live[i].bytes; ++b) intact &= live[i].address[b] == std::byte(live[i].mark);
    p.pool.free(live[i].address);
    live.erase(live.begin() + static_cast<std::ptrdiff_t>(i));
  };
  for (int i = 0; i < 1500; ++i) {
    if (live.size() > 20) release(random.below(20));
    const std::size_t bytes = random.below(5000);
    live.push_back({p.pool.allocate(bytes), bytes, i & 255});
    aligned &= is_aligned(live.back().address);
    std::memset(live.back().address, i & 255, bytes);
  }
  while (!live.empty()) release(0);
  CHECK(intact);
  CHECK(aligned);
  CHECK(p.pool.statistics().in_use == 0);
}

TEST_CASE("memory pool: the smallest block that fits, the lowest among equals") {
  Pool p;
  std::byte* blocks[6];
  const std::size_t sizes[6] = {4096, 256, 1024, 256, 1024, 256};
  for (int i = 0; i < 6; ++i) blocks[i] = p.pool.allocate(sizes[i]);
  for (const int i : {4, 0, 2}) p.pool.free(blocks[i]);
  CHECK(p.pool.allocate(1000) == blocks[2]);
  CHECK(p.pool.allocate(1000) == blocks[4]);
  CHECK(p.pool.allocate(1000) == blocks[0]);
}

TEST_CASE("memory pool: free neighbours merge, in any order, and a free slab goes back") {
  for (const std::vector<int>& order : {std::vector<int>{0, 1, 2}, {2, 1, 0}, {0, 2, 1}, {1, 0, 2}}) {
    Pool p;
    std::byte* blocks[3];
    for (auto& block : blocks) block = p.pool.allocate(10 * mebibyte);
    std::byte* const lowest = blocks[0];
    for (const int i : order) p.pool.free(blocks[i]);
    std::byte* whole = p.pool.allocate(32 * mebibyte);
    CHECK(whole == lowest);
    CHECK(p.held == 32 * mebibyte);
    p.pool.trim();
    CHECK(p.held == 32 * mebibyte);  // in use: stays
    p.pool.free(whole);
    p.pool.trim();
    CHECK(p.held == 0);
    CHECK(p.pool.statistics().reserved == 0);
    p.pool.free(p.pool.allocate(1));  // the pool works after that
  }
}

TEST_CASE("memory pool: blocks of two slabs never merge, even where the slabs touch") {
  for (const bool forwards : {false, true}) {
    MemoryPool pool(std::make_unique<AdjacentSlabs>());
    std::byte* first = pool.allocate(32 * mebibyte);
    std::byte* second = pool.allocate(32 * mebibyte);
    REQUIRE(second == first + 32 * mebibyte);
    pool.free(forwards ? first : second);
    pool.free(forwards ? second : first);
    std::byte* both = pool.allocate(64 * mebibyte);
    CHECK(both == second + 32 * mebibyte);
    pool.free(both);
    pool.trim();
    CHECK(pool.statistics().reserved == 0);
  }
}

TEST_CASE("memory pool: statistics count what is handed out") {
  Pool p;
  std::byte* a = p.pool.allocate(1000);  // rounded to 1024
  std::byte* b = p.pool.allocate(1);     // 256
  CHECK(p.pool.statistics().in_use == 1280);
  p.pool.free(a);
  CHECK(p.pool.statistics().in_use == 256);
  CHECK(p.pool.statistics().peak_in_use == 1280);
  p.pool.reset_peak();
  CHECK(p.pool.statistics().peak_in_use == 256);
  CHECK(p.pool.statistics().reserved == p.held);
  std::byte* large = p.pool.allocate(100 * mebibyte);
  CHECK(p.pool.statistics().peak_reserved >= 132 * mebibyte);
  p.pool.free(large);
  p.pool.free(b);
}

TEST_CASE("memory pool: freeing what is not in use is an error, not damage") {
  Pool p;
  std::byte* a = p.pool.allocate(1000);
  CHECK_THROWS_AS(p.pool.free(a + 256), Error);
  p.pool.free(a);
  CHECK_THROWS_AS(p.pool.free(a), Error);
  CHECK_THROWS_AS(p.pool.free(nullptr), Error);
  CHECK(p.pool.statistics().in_use == 0);
  CHECK(p.pool.allocate(1000) == a);
  p.pool.free(a);
}

TEST_CASE("memory pool: when there is no more, the pool stays whole") {
  Pool p(64 * mebibyte);
  std::byte* a = p.pool.allocate(40 * mebibyte);
  CHECK_THROWS_AS(p.pool.allocate(60 * mebibyte), Error);
  CHECK(p.pool.statistics().in_use == 40 * mebibyte);
  p.pool.free(a);
  CHECK(p.pool.allocate(30 * mebibyte) == a);
}

TEST_CASE("memory pool: poison is NaN in every element type") {
  Pool p;
  p.pool.set_poison(true);
  auto* block = p.pool.allocate(4096);
  bool poisoned = true;
  for (int i = 0; i < 4096; ++i) poisoned &= block[i] == std::byte{0xff};
  CHECK(poisoned);
}

TEST_CASE("memory pool: the plan hands out the addresses' pattern of the real one") {
  // What --dry-run relies on: the same requests reserve the same number of bytes.
  Pool p;
  std::size_t reserved[2];
  MemoryPool* pools[2] = {&p.pool, &memory_pool(Device::plan)};
  pools[1]->trim();
  const std::size_t before = pools[1]->statistics().reserved;
  for (int i = 0; i < 2; ++i) {
    std::vector<std::byte*> live;
    for (const std::size_t bytes : {50 * mebibyte, 3 * mebibyte, 7 * mebibyte, 40 * mebibyte})
      live.push_back(pools[i]->allocate(bytes));
    reserved[i] = pools[i]->statistics().reserved;
    for (std::byte* address : live) pools[i]->free(address);
  }
  CHECK(reserved[0] == reserved[1] - before);
}

TEST_CASE("memory pool: in a scope, tensors come from its pool and keep it alive") {
  const std::size_t before = memory_pool(Device::cpu).statistics().in_use;
  std::weak_ptr<MemoryPool> own;
  Tensor kept;
  {
    const PoolScope scope(Device::cpu, new_memory_pool(Device::cpu));
    own = scope.pool();
    kept = Tensor::zeros({1000}, DType::f32, Device::reference);  // the host's pool, too
    CHECK(scope.pool()->statistics().in_use >= 4000);
    {
      const PoolScope inner(Device::plan, new_memory_pool(Device::plan));  // of another device
      CHECK(&memory_pool(Device::cpu) == scope.pool().get());
      CHECK(&memory_pool(Device::plan) == inner.pool().get());
    }
    std::thread([&] { CHECK(&memory_pool(Device::cpu) != own.lock().get()); }).join();
  }
  CHECK(memory_pool(Device::cpu).statistics().in_use == before);
  CHECK_FALSE(own.expired());
  CHECK(kept.to_vector<float>()[999] == 0);
  kept = Tensor();
  CHECK(own.expired());
}

TEST_CASE("memory pool: many threads at once") {
  Pool p;
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < 4; ++t)
    threads.emplace_back([&p, t] {
      RandomStream random(5, Purpose::test, 0, t);
      for (int i = 0; i < 2000; ++i) {
        std::byte* block = p.pool.allocate(1 + random.below(3000));
        block[0] = std::byte{1};
        p.pool.free(block);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(p.pool.statistics().in_use == 0);
}

}  // namespace
}  // namespace kindred
