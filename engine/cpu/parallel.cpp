#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/error.h>

#include <omp.h>  // defines: omp_get_max_threads, omp_set_num_threads

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <iterator>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace kindred {

namespace {

int threads_of_this_process() {
  std::error_code error;
  const std::filesystem::directory_iterator threads("/proc/self/task", error);
  return error ? 0 : static_cast<int>(std::distance(begin(threads), end(threads)));
}

}  // namespace

int compute_threads() {
  return omp_get_max_threads();
}

void set_compute_threads(int threads) {
  omp_set_num_threads(std::max(1, threads));
}

namespace {

// The thread sanitizer cannot see the barriers of an OpenMP library that was built without it, but it can see
// threads.
#ifdef __SANITIZE_THREAD__
void run_on_threads(int ranges, const std::function<void(int)>& run) {
  std::vector<std::thread> threads;
  for (int range = 1; range < ranges; ++range) threads.emplace_back(run, range);
  run(0);
  for (std::thread& thread : threads) thread.join();
}
#else
// All threads take part, also where there are fewer ranges: libgomp ends those that a smaller team has no place for, and
// starts them anew for the next larger one.
template <typename Run>
void run_on_threads(int ranges, const Run& run) {
#pragma omp parallel for num_threads(compute_threads()) schedule(static, 1)
  for (int range = 0; range < ranges; ++range) run(range);
}
#endif

// The system goes on counting a thread for a moment after it was joined.
void wait_until_gone(int threads_before) {
  constexpr int most_waits = 1000;
  constexpr std::chrono::microseconds a_moment{200};
  for (int wait = 0; wait < most_waits && threads_of_this_process() > threads_before; ++wait)
    std::this_thread::sleep_for(a_moment);
}

}  // namespace

int threads_that_start(int count, std::string* refusal) {
  std::vector<std::thread> threads;
  threads.reserve(static_cast<std::size_t>(count));
  std::mutex all_wait;
  {
    const std::lock_guard hold(all_wait);
    try {
      for (int thread = 0; thread < count; ++thread)
        threads.emplace_back([&all_wait] { const std::lock_guard until_all_are_there(all_wait); });
    } catch (const std::exception& error) {
      if (refusal != nullptr) *refusal = error.what();
    }
  }
  for (std::thread& thread : threads) thread.join();
  return static_cast<int>(threads.size());
}

void check_threads_start() {
  static std::atomic<int> most_started{1};  // the calling thread counts
  const int wanted = compute_threads();
  if (most_started >= wanted) return;
  std::string refusal;
  const int before = threads_of_this_process();
  const int started = threads_that_start(wanted - 1, &refusal) + 1;
  check(started == wanted, ExitCode::device, Cause::out_of_threads,
        "{} compute threads are wanted, and only {} can be started: {}", wanted, started, refusal);
  wait_until_gone(before);
  run_on_threads(wanted, [](int) {});  // now, before somebody else takes their places
  most_started = wanted;
}

void parallel_ranges(std::int64_t count, std::int64_t grain,
                     const std::function<void(int, std::int64_t, std::int64_t)>& body) {
  if (count <= 0) return;
  const std::int64_t most = std::max<std::int64_t>(1, count / std::max<std::int64_t>(1, grain));
  const int ranges = static_cast<int>(std::min<std::int64_t>(compute_threads(), most));
  if (ranges == 1) {
    body(0, 0, count);
    return;
  }
  check_threads_start();
  std::exception_ptr first_error;
  std::mutex mutex;
  run_on_threads(ranges, [&](int range) {
    try {
      body(range, count * range / ranges, count * (range + 1) / ranges);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!first_error) first_error = std::current_exception();
    }
  });
  if (first_error) std::rethrow_exception(first_error);
}

void parallel_for(std::int64_t count, std::int64_t grain,
                  const std::function<void(std::int64_t, std::int64_t)>& body) {
  parallel_ranges(count, grain, [&](int, std::int64_t begin, std::int64_t end) { body(begin, end); });
}

}  // namespace kindred
