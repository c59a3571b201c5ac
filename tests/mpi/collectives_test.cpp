// Cases that run in several processes at once (mpi_tests.cpp).
#include "../engine/communicator/collectives.h"

#include <doctest/doctest.h>
#include <kindred/engine/communicator/time_limit.h>
#include <kindred/engine/error.h>
#include <kindred/third_party/mpi/mpi_world.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <thread>

namespace kindred::test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("mpi: reductions of each type") {
  check_reductions(world());
}
TEST_CASE("mpi: more than travels at once") {
  check_large_reduction(world(), (std::int64_t{16} << 20) + 5);
}
TEST_CASE("mpi: gathers") {
  check_gathers(world());
}
TEST_CASE("mpi: broadcasts") {
  check_broadcasts(world());
}
TEST_CASE("mpi: sums under way, beside other calls") {
  check_sums_under_way(world());
}
TEST_CASE("mpi: groups") {
  check_groups(world());
}
TEST_CASE("mpi: values and texts") {
  check_values_and_texts(world());
}

TEST_CASE("mpi: what the processes know of each other") {
  const MpiTransport& mpi = mpi_transport();
  CHECK(mpi.size() == world().size());
  CHECK(mpi.hosts().size() == static_cast<std::size_t>(mpi.size()));
  CHECK_FALSE(mpi.hosts()[0].empty());
  CHECK(mpi.local_size() == std::count(mpi.hosts().begin(), mpi.hosts().end(), mpi.hosts()[0]));
  CHECK(mpi.local_rank() == mpi.rank());  // all are on one machine
  CHECK(world().description() == std::to_string(mpi.size()) + " processes over " + mpi_description());
  CHECK(mpi_module_found());
  CHECK(why_no_mpi().empty());
}

// A limit of a second, and a process that comes later.
struct ShortLimit {
  ShortLimit() { set_time_limit(1); }
  ~ShortLimit() { set_time_limit(30); }
};

TEST_CASE("mpi: who is late where that is expected is not lost") {
  if (world().is_alone()) return;
  const ShortLimit limit;
  {
    const LongerLimit longer(60);
    if (world().is_first()) std::this_thread::sleep_for(4s);
    world().barrier();
  }
  CHECK(world().sum({1})[0] == world().size());
}

TEST_CASE("mpi: who comes while all are asked is not lost, and old questions end nobody") {
  if (world().is_alone()) return;
  world().barrier();
  const ShortLimit limit;
  if (world().rank() == 1)
    std::this_thread::sleep_for(2s);  // the others ask after one, and would end it after three
  CHECK(world().sum({1})[0] == world().size());
  const LongerLimit longer(60);  // rank 1 finds the question only now
  if (world().is_first()) std::this_thread::sleep_for(4s);
  CHECK(world().sum({2})[0] == 2 * world().size());
}

TEST_CASE("mpi: what was asked in a wait for a GPU does not count in the next wait") {
  if (world().is_alone()) return;
  world().barrier();
  if (world().is_first()) {
    const ShortLimit limit;
    CHECK(world().look(1.1));  // its last look: then its GPU is ready, and nobody has answered yet
  }
  const LongerLimit longer(60);
  // The first process is back before the others, and when its question would have to be answered.
  std::this_thread::sleep_for(world().is_first() ? 2200ms : 4s);
  CHECK(world().sum({1})[0] == world().size());
}

TEST_CASE("mpi: many small calls of uneven processes") {
  std::mt19937 random(static_cast<std::uint32_t>(world().rank()));
  for (int i = 0; i < 300; ++i) {
    if (random() % 16 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
    CHECK(world().sum({static_cast<double>(i * world().rank())})[0] ==
          i * world().size() * (world().size() - 1) / 2.0);
  }
}

}  // namespace
}  // namespace kindred::test
