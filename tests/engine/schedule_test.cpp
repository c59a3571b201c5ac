#include <doctest/doctest.h>
#include <kindred/engine/error.h>
#include <kindred/engine/optimizer/schedule.h>

#include <cmath>
#include <numbers>

namespace kindred {
namespace {

using doctest::Approx;

TEST_CASE("schedule: cosine falls from the base to the floor and stays there") {
  const Schedule schedule = Schedule::cosine(0.5, 100, 0.1);
  CHECK(schedule.at(0) == 0.5);
  CHECK(schedule.at(50) == Approx(0.3));
  CHECK(schedule.at(99) > 0.1);
  CHECK(schedule.at(100) == Approx(0.1));
  CHECK(schedule.at(1000) == Approx(0.1));
  for (std::int64_t k = 1; k <= 100; ++k) CHECK(schedule.at(k) < schedule.at(k - 1));
}

TEST_CASE("schedule: the warm-up rises on a line to the base") {
  const Schedule schedule = Schedule::constant(0.4).with_warmup({.steps = 4});
  CHECK(schedule.at(0) == Approx(0.1));
  CHECK(schedule.at(3) == Approx(0.4));
  CHECK(schedule.at(4) == 0.4);
  CHECK(Schedule::constant(0.4).with_warmup({.steps = 4, .start = 0.2}).at(1) == Approx(0.3));
}

TEST_CASE("schedule: HobbitLong's warm-up ends where the cosine is then") {
  const double lr = 0.5, floor = lr * 1e-3;
  const std::int64_t warmup = 100, total = 1000;
  const Schedule schedule =
      Schedule::cosine(lr, total, floor).with_warmup({.steps = warmup, .start = 0.01, .meet_schedule = true});
  const double meets = floor + (lr - floor) * (1 + std::cos(std::numbers::pi * 0.1)) / 2;
  CHECK(schedule.at(warmup - 1) == Approx(meets));
  CHECK(schedule.at(warmup) == Approx(meets));
  CHECK(schedule.at(49) == Approx(0.01 + (meets - 0.01) / 2));
}

TEST_CASE("schedule: milestones in any order, each counted from its own step on") {
  const Schedule schedule = Schedule::step(5, {75, 60, 90}, 0.2);
  CHECK(schedule.at(59) == 5);
  CHECK(schedule.at(60) == Approx(1));
  CHECK(schedule.at(75) == Approx(0.2));
  CHECK(schedule.at(200) == Approx(0.04));
}

TEST_CASE("schedule: exponential, smooth and as a staircase") {
  CHECK(Schedule::exponential(1, 0.97, 10).at(5) == Approx(std::sqrt(0.97)));
  CHECK(Schedule::exponential(1, 0.97, 10, true).at(9) == 1);
  CHECK(Schedule::exponential(1, 0.97, 10, true).at(20) == Approx(0.97 * 0.97));
}

TEST_CASE("schedule: prints itself") {
  CHECK(Schedule::cosine(0.1, 780).with_warmup({.steps = 78}).to_string() ==
        "cosine from 0.1 to 0 over 780 steps, after 78 steps of warm-up from 0");
  CHECK(Schedule::constant(0.3).to_string() == "constant 0.3");
  CHECK(Schedule::step(5, {60, 75}, 0.2).to_string() == "5, times 0.2 at steps 60, 75");
  CHECK(Schedule::exponential(0.05, 0.97, 2.5, true).to_string() == "0.05, times 0.97 every 2.5 steps");
}

TEST_CASE("schedule: values that make no schedule are refused") {
  CHECK_THROWS_AS(Schedule::constant(-1), Error);
  CHECK_THROWS_AS(Schedule::constant(std::nan("")), Error);
  CHECK_THROWS_AS(Schedule::cosine(1, 0), Error);
  CHECK_THROWS_AS(Schedule::cosine(1, 10, -1), Error);
  CHECK_THROWS_AS(Schedule::step(1, {1}, 0), Error);
  CHECK_THROWS_AS(Schedule::exponential(1, 0.9, 0), Error);
  CHECK_THROWS_AS(Schedule::constant(1).with_warmup({.steps = -1}), Error);
}

}  // namespace
}  // namespace kindred
