// What is trained on a CPU if nothing says which model and size: the largest that takes about an hour.
#include <kindred/apps/training/options/cpu_defaults.h>

#include <doctest/doctest.h>
#include <fmt/core.h>

#include <cstdint>
#include <optional>
#include <string>

namespace kindred {
namespace {

std::string chosen(std::int64_t short_side, std::int64_t images, int threads, std::int64_t views = 2,
                   std::optional<std::int64_t> epochs = {}) {
  const CpuDefault of_set = default_on_cpu(
      {.short_side = short_side, .images = images, .views = views, .threads = threads, .epochs = epochs});
  return fmt::format("{} {} {}", of_set.model.model, of_set.model.image_size, of_set.epochs);
}

TEST_CASE("CPU defaults: few pictures are seen as large as they are, at most at 128 pixels") {
  CHECK(chosen(0, 100, 2) == "resnet20 32 100");
  CHECK(chosen(32, 100, 2) == "resnet20 32 100");
  CHECK(chosen(48, 100, 2) == "resnet20 32 100");
  CHECK(chosen(49, 100, 2) == "resnet18 64 100");
  CHECK(chosen(96, 100, 2) == "resnet18 64 100");
  CHECK(chosen(97, 100, 2) == "resnet18 96 100");
  CHECK(chosen(127, 100, 2) == "resnet18 96 100");
  CHECK(chosen(128, 100, 2) == "resnet18 128 100");
  CHECK(chosen(4000, 100, 2) == "resnet18 128 100");
}

TEST_CASE("CPU defaults: with more pictures first a smaller size and model, then fewer epochs") {
  CHECK(chosen(400, 3000, 2) == "resnet20 32 100");
  CHECK(chosen(400, 10000, 2) == "resnet20 32 50");
  CHECK(chosen(400, 100000, 2) == "resnet20 32 5");
  CHECK(chosen(400, 1281167, 2) == "resnet20 32 1");
  CHECK(chosen(400, 1'000'000'000, 2) == "resnet20 32 1");
  CHECK(chosen(400, 3000, 16) == "resnet18 128 100");
  CHECK(chosen(400, 10000, 16) == "resnet18 64 100");
  CHECK(chosen(400, 100000, 16) == "resnet20 32 50");
  CHECK(chosen(400, 1281167, 16) == "resnet20 32 2");
  CHECK(chosen(32, 50000, 2) == "resnet20 32 10");
  // On either side of 4500 seconds.
  CHECK(chosen(400, 585, 2) == "resnet18 128 100");
  CHECK(chosen(400, 586, 2) == "resnet18 96 100");
  CHECK(chosen(400, 6750, 2) == "resnet20 32 100");
  CHECK(chosen(400, 6751, 2) == "resnet20 32 50");
}

TEST_CASE("CPU defaults: views and given epochs count too") {
  CHECK(chosen(400, 3000, 2, 1) == "resnet18 64 100");
  CHECK(chosen(400, 3000, 2, 4) == "resnet20 32 100");
  CHECK(chosen(400, 3000, 2, 2, 1) == "resnet18 128 1");
  CHECK(chosen(400, 3000, 2, 2, 400) == "resnet20 32 400");
  CHECK(chosen(400, 1281167, 2, 2, 20) == "resnet20 32 20");  // takes a day
}

TEST_CASE("CPU defaults: how long it takes") {
  const auto seconds = [](std::int64_t images, int threads) {
    return default_on_cpu({.short_side = 400, .images = images, .views = 2, .threads = threads, .epochs = {}})
        .seconds;
  };
  CHECK(seconds(3000, 2) == doctest::Approx(2000));
  CHECK(seconds(3000, 16) == doctest::Approx(600000.0 / 208));
  CHECK(seconds(100000, 2) == doctest::Approx(10000.0 / 3));
  CHECK(seconds(10000, 0) == seconds(10000, 1));
}

}  // namespace
}  // namespace kindred
