#include <doctest/doctest.h>
#include <kindred/engine/cpu/parallel.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace kindred {
namespace {

struct Threads {  // restores the number of threads
  int before = compute_threads();
  ~Threads() { set_compute_threads(before); }
};

TEST_CASE("parallel_for: covers every index once") {
  const Threads threads;
  for (const int count : {1, 2, 3, 5}) {
    set_compute_threads(count);
    for (const std::int64_t n : {0, 1, 2, 3, 7, 100, 1001})
      for (const std::int64_t grain : {0, 1, 10, 5000}) {
        std::vector<std::atomic<int>> visits(static_cast<std::size_t>(n));
        std::atomic<bool> in_order{true};
        parallel_for(n, grain, [&](std::int64_t begin, std::int64_t end) {
          if (begin >= end) in_order = false;
          for (std::int64_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
        });
        bool once = true;
        for (const auto& visit : visits) once &= visit == 1;
        CHECK(once);
        CHECK(in_order);
      }
  }
}

TEST_CASE("parallel_ranges: ranges depend on counts alone and are numbered") {
  const Threads threads;
  set_compute_threads(3);
  std::vector<std::int64_t> begins(3, -1);
  parallel_ranges(10, 1, [&](int range, std::int64_t begin, std::int64_t) {
    begins.at(static_cast<std::size_t>(range)) = begin;
  });
  CHECK(begins == std::vector<std::int64_t>{0, 3, 6});
  int calls = 0;
  parallel_ranges(10, 6,
                  [&](int range, std::int64_t, std::int64_t) { calls += 1 + range; });  // too short to divide
  CHECK(calls == 1);
}

TEST_CASE("parallel_for: an exception reaches the caller, and the next loop works") {
  const Threads threads;
  for (const int count : {1, 4}) {
    set_compute_threads(count);
    CHECK_THROWS_WITH_AS(parallel_for(100, 1,
                                      [](std::int64_t begin, std::int64_t end) {
                                        if (begin <= 99 && 99 < end) throw std::runtime_error("at 99");
                                      }),
                         "at 99", std::runtime_error);
    CHECK_THROWS_AS(parallel_for(100, 1, [](std::int64_t, std::int64_t) { throw 1; }), int);
    std::atomic<std::int64_t> sum{0};
    parallel_for(100, 1, [&](std::int64_t begin, std::int64_t end) { sum += end - begin; });
    CHECK(sum == 100);
  }
}

TEST_CASE("compute threads: at least one") {
  const Threads threads;
  set_compute_threads(0);
  CHECK(compute_threads() == 1);
  set_compute_threads(4);
  CHECK(compute_threads() == 4);
}

}  // namespace
}  // namespace kindred
