// Measures processor time and not duration, so other programs on the machine do not change the outcome.
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/cpu/waiting.h>

#include <doctest/doctest.h>
#include <omp.h>  // defines: omp_get_num_procs

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <thread>

namespace kindred {
namespace {

// Seconds that all threads of this process have computed or spun.
double processor_seconds() {
  std::timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// What threads use that wait between 20 short loops, for 5 ms each time.
double seconds_of_waiting() {
  std::atomic<int> ranges{0};
  const auto loop = [&] {
    parallel_for(64, 1, [&](std::int64_t, std::int64_t) { ranges.fetch_add(1); });
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  };
  loop();
  const double before = processor_seconds();
  for (int i = 0; i < 20; ++i) loop();
  CHECK(ranges == 21 * compute_threads());
  return processor_seconds() - before;
}

TEST_CASE("threads sleep once others had to wait, and spin after a second in which none had to") {
  WaitingRule rule;
  CHECK_FALSE(rule.see(0.2));  // the threshold itself is not crowded
  CHECK(rule.see(0.21));
  CHECK(rule.see(0.1));  // neither crowded nor quiet
  for (int i = 0; i < 4; ++i) CHECK(rule.see(0.04));
  CHECK(rule.see(0.05));  // begins anew
  for (int i = 0; i < 4; ++i) CHECK(rule.see(0.0));
  CHECK_FALSE(rule.see(0.0));
  CHECK_FALSE(rule.see(0.1));  // not crowded enough to sleep again
  CHECK(rule.see(3.0));
}

TEST_CASE("while there is a WaitAsleep, threads that wait use no processor time; before and after they spin") {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) {
    const WaitAsleep asleep;
    CHECK_FALSE(asleep.works());
    MESSAGE("the environment says how threads wait: nothing to measure");
    return;
  }
  const int threads = compute_threads(), cores = omp_get_num_procs();
  if (cores < 2) {
    MESSAGE("one core: threads never spin for long");
    return;
  }
  set_compute_threads(cores);
  const double spun = seconds_of_waiting();
  double slept = 0;
  {
    const WaitAsleep asleep;
    CHECK(asleep.works());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // its own threads start
    slept = seconds_of_waiting();
  }
  const double spun_again = seconds_of_waiting();
  set_compute_threads(threads);
  CHECK(slept < spun / 4);
  CHECK(slept < spun_again / 4);
}

}  // namespace
}  // namespace kindred
