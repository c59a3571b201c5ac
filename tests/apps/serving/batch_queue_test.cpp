// The queue with a model that can be followed: an image's "feature" is a sum of its own pixels.
#include <kindred/apps/serving/batch_queue.h>
#include <kindred/apps/serving/gate.h>
#include <kindred/engine/error.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <mutex>
#include <new>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace kindred {
namespace {

constexpr std::size_t pixels_each = 12;
constexpr std::uint8_t poison = 255;  // an image that begins with it cannot be computed

struct SumModel {
  std::vector<std::int64_t> batches{};
  std::vector<ImageResult> operator()(std::span<const std::uint8_t> pixels, std::int64_t images) {
    batches.push_back(images);
    std::vector<ImageResult> results;
    for (std::int64_t i = 0; i < images; ++i) {
      const auto image = pixels.subspan(static_cast<std::size_t>(i) * pixels_each, pixels_each);
      check(image[0] != poison, ExitCode::non_finite, "poison {}", image[1]);
      results.push_back({{static_cast<float>(std::accumulate(image.begin(), image.end(), 0))}, {}, {}});
    }
    return results;
  }
};

PreparedPixels random_image(std::mt19937& random) {
  PreparedPixels pixels(pixels_each);
  for (std::uint8_t& pixel : pixels) pixel = static_cast<std::uint8_t>(random() % 255);
  return pixels;
}

float sum_of(const PreparedPixels& pixels) {
  return static_cast<float>(std::accumulate(pixels.begin(), pixels.end(), 0));
}

TEST_CASE("serving: batches are powers of two, up to the largest") {
  for (std::int64_t most : {1, 2, 3, 32, 33})
    for (std::int64_t waiting = 1; waiting < 100; ++waiting) {
      const std::int64_t images = BatchQueue::next_batch(waiting, most);
      CHECK((images & (images - 1)) == 0);
      CHECK(images <= std::min(waiting, most));
      CHECK(images * 2 > std::min(waiting, most));
    }
}

TEST_CASE("serving: eight threads get their own images' results, and errors reach their own request alone") {
  SumModel model;
  BatchQueue queue({.most_images = 8, .most_waiting = 1000},
                   [&](auto pixels, auto images) { return model(pixels, images); });
  std::atomic<int> asking = 8, wrong = 0, right = 0, failed = 0;
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int request = 0; request < 40; ++request) {
        std::vector<PreparedPixels> images;
        for (std::size_t n = random() % 5 + 1; n > 0; --n) images.push_back(random_image(random));
        const bool poisoned = random() % 6 == 0;
        if (poisoned) images.back()[0] = poison, images.back()[1] = static_cast<std::uint8_t>(t);
        auto results = queue.put(images);
        if (!results || results->size() != images.size()) {
          ++wrong;
          continue;
        }
        for (std::size_t i = 0; i < images.size(); ++i) try {
            const ImageResult result = (*results)[i].get();
            const bool good =
                result.feature.size() == 1 && result.feature[0] == sum_of(images[i]) && images[i][0] != poison;
            ++(good ? right : wrong);
          } catch (const Error& error) {
            const bool own =
                poisoned && i + 1 == images.size() && error.what() == "poison " + std::to_string(t);
            ++(own ? failed : wrong);
          }
      }
      --asking;
    });
  queue.work([&] { return asking == 0; });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(right > 500);
  CHECK(failed > 20);
  CHECK(queue.waiting() == 0);
  CHECK(*std::max_element(model.batches.begin(), model.batches.end()) > 1);
  CHECK(*std::max_element(model.batches.begin(), model.batches.end()) <= 8);
}

TEST_CASE("serving: what waits when the end is asked for is computed, in its order") {
  SumModel model;
  BatchQueue queue({.most_images = 4, .most_waiting = 11},
                   [&](auto pixels, auto images) { return model(pixels, images); });
  std::mt19937 random(1);
  std::vector<PreparedPixels> images;
  for (int i = 0; i < 11; ++i) images.push_back(random_image(random));
  auto results = queue.put(images);
  REQUIRE(results.has_value());
  CHECK(queue.waiting() == 11);
  CHECK(!queue.put({random_image(random)}).has_value());  // full: nothing of it is taken
  CHECK(queue.waiting() == 11);
  queue.work([] { return true; });
  CHECK(model.batches == std::vector<std::int64_t>{4, 4, 2, 1});
  for (std::size_t i = 0; i < images.size(); ++i) CHECK((*results)[i].get().feature[0] == sum_of(images[i]));
}

TEST_CASE("serving: a model that gives too few results is an error, and a closed queue leaves nobody waiting") {
  BatchQueue forgets({.most_images = 4}, [](auto, auto) { return std::vector<ImageResult>(1); });
  auto results = forgets.put({PreparedPixels(pixels_each), PreparedPixels(pixels_each)});
  forgets.work([] { return true; });
  CHECK((*results)[0].get().feature.empty());  // computed alone, it gets its one result
  BatchQueue empty({}, [](auto, auto) { return std::vector<ImageResult>(); });
  results = empty.put({PreparedPixels(pixels_each)});
  empty.work([] { return true; });
  CHECK_THROWS_AS((*results)[0].get(), Error);
  results = empty.put({PreparedPixels(pixels_each)});
  empty.close();
  CHECK_THROWS_AS((*results)[0].get(), std::future_error);
  CHECK(!empty.put({PreparedPixels(pixels_each)}).has_value());
}

TEST_CASE("serving: memory that is missing reaches the requests, and the worker goes on") {
  int batches = 0;
  bool has_memory = false;
  BatchQueue queue({.most_images = 4}, [&](auto pixels, auto images) {
    ++batches;
    if (!has_memory) throw std::bad_alloc();
    return SumModel()(pixels, images);
  });
  std::mt19937 random(5);
  const std::vector<PreparedPixels> images{random_image(random), random_image(random), random_image(random)};
  auto results = queue.put(images);
  queue.work([] { return true; });
  for (auto& result : *results) CHECK_THROWS_AS(result.get(), std::bad_alloc);
  CHECK(batches == 4);  // two together, each of them, and the third
  has_memory = true;
  results = queue.put(images);
  queue.work([] { return true; });
  for (std::size_t i = 0; i < images.size(); ++i) CHECK((*results)[i].get().feature[0] == sum_of(images[i]));
}

TEST_CASE("serving: a gate lets in as many, and as many bytes, as it has room for") {
  Gate gate(3, 100);
  std::atomic<int> inside = 0, bytes = 0, most = 0, most_bytes = 0, alone = 0;
  // Not named raise: on some processors doctest calls the function of the system with that name.
  const auto lift = [](std::atomic<int>& peak, int value) {
    for (int seen = peak; value > seen && !peak.compare_exchange_weak(seen, value);) {
    }
  };
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 200; ++i) {
        const int size = i % 50 == 0 ? 1000 : static_cast<int>(random() % 60);
        const Gate::Pass pass = gate.enter(static_cast<std::size_t>(size));
        const int now = ++inside;
        lift(most, now);
        if (size == 1000)
          alone += now == 1;
        else
          lift(most_bytes, bytes += size);
        std::this_thread::yield();
        if (size != 1000) bytes -= size;
        --inside;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(most <= 3);
  CHECK(most_bytes <= 100);
  CHECK(alone == 8 * 4);

  auto first = gate.try_to_enter(60);
  REQUIRE(first.has_value());
  CHECK(!gate.try_to_enter(41).has_value());
  const auto second = gate.try_to_enter(40);
  CHECK(second.has_value());
  first.reset();
  auto third = gate.try_to_enter(50);
  REQUIRE(third.has_value());
  CHECK(!third->try_to_grow(11));
  CHECK(third->amount() == 50);
  CHECK(third->try_to_grow(10));
  CHECK(third->amount() == 60);
  CHECK(!gate.try_to_enter(1).has_value());
  third.reset();
  CHECK(gate.try_to_enter(60).has_value());  // also what it has grown by is given back
}

TEST_CASE("serving: who needs much of a gate is not passed by those who come later") {
  Gate gate(8, 100);
  auto small = gate.try_to_enter(30);
  REQUIRE(small.has_value());
  std::atomic<bool> large_is_in = false;
  std::thread large([&] {
    const Gate::Pass pass = gate.enter(90);
    large_is_in = true;
  });
  while (gate.waiting() == 0) std::this_thread::yield();
  CHECK(!gate.try_to_enter(10).has_value());  // there is room for it, and it would keep the large one out
  std::atomic<bool> was_first = false;
  std::thread later([&] {
    const Gate::Pass pass = gate.enter(10);
    was_first = large_is_in.load();
  });
  while (gate.waiting() == 1) std::this_thread::yield();
  CHECK(!large_is_in);
  small.reset();
  large.join();
  later.join();
  CHECK(was_first);
  CHECK(gate.waiting() == 0);
}

TEST_CASE("serving: a wait at a gate ends when nobody wants the work any more, and others go on") {
  struct NotWanted {};
  Gate gate(1, 100);
  auto inside = gate.try_to_enter(1);
  REQUIRE(inside.has_value());
  std::atomic<bool> is_wanted = true, is_in = false;
  std::atomic<int> asked = 0;
  std::thread leaves([&] {
    const auto check = [&] {
      ++asked;
      if (!is_wanted) throw NotWanted();
    };
    CHECK_THROWS_AS(static_cast<void>(gate.enter(1, check)), NotWanted);
  });
  while (asked < 3) std::this_thread::yield();
  std::thread stays([&] {
    const Gate::Pass pass = gate.enter(1);
    is_in = true;
  });
  while (gate.waiting() < 2) std::this_thread::yield();
  is_wanted = false;
  leaves.join();
  CHECK(gate.waiting() == 1);
  CHECK(!is_in);
  inside.reset();
  stays.join();
  CHECK(is_in);
}

}  // namespace
}  // namespace kindred
