#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/cpu/waiting.h>

#include <omp.h>           // defines: omp_get_max_threads, omp_get_num_procs
#include <sys/resource.h>  // defines: getrlimit

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>

namespace kindred {
namespace {

constexpr std::chrono::milliseconds between_looks{200};
constexpr int most_extra_threads = 8;

// Threads and their stacks are scarce: those of the programs' own work come first, because OpenMP ends the program if it
// gets none.
bool threads_are_limited() {
  constexpr rlim_t plenty = 4096;
  rlimit threads{}, memory{};
  return ::getrlimit(RLIMIT_NPROC, &threads) != 0 || threads.rlim_cur < plenty ||
         ::getrlimit(RLIMIT_AS, &memory) != 0 || memory.rlim_cur != RLIM_INFINITY;
}

bool environment_decides() {
  return std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr;
}

// Nanoseconds for which the threads of this process have had no core, by thread. nullopt if the system does not say.
std::optional<std::map<std::string, std::uint64_t>> delays() {
  std::map<std::string, std::uint64_t> of_threads;
  std::error_code error;
  for (std::filesystem::directory_iterator thread("/proc/self/task", error), end; !error && thread != end;
       thread.increment(error)) {
    std::ifstream file(thread->path() / "schedstat");
    std::uint64_t ran = 0, waited = 0;
    if (file >> ran >> waited) of_threads[thread->path().filename().string()] = waited;
  }
  if (of_threads.empty()) return std::nullopt;
  return of_threads;
}

double seconds_between(const std::map<std::string, std::uint64_t>& before,
                       const std::map<std::string, std::uint64_t>& after) {
  double sum = 0;
  for (const auto& [thread, waited] : after) {
    const auto earlier = before.find(thread);
    const std::uint64_t since = earlier == before.end() ? 0 : earlier->second;
    if (waited > since) sum += 1e-9 * static_cast<double>(waited - since);
  }
  return sum;
}

// Sleeps until the thread is told to end, at most for this time if one is given. Returns whether it is to end.
bool ends_within(const std::stop_token& end, std::optional<std::chrono::milliseconds> time) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  const auto never = [] { return false; };
  if (time)
    changed.wait_for(lock, end, *time, never);
  else
    changed.wait(lock, end, never);
  return end.stop_requested();
}

void look(const std::stop_token& end) {
  WaitingRule rule;
  std::optional<WaitAsleep> asleep;
  auto before = delays();
  while (before && !ends_within(end, between_looks)) {
    auto after = delays();
    if (!after) return;
    const double delayed =
        seconds_between(*before, *after) / std::chrono::duration<double>(between_looks).count();
    if (!rule.see(delayed))
      asleep.reset();
    else if (!asleep)
      asleep.emplace();
    before = std::move(after);
  }
}

}  // namespace

bool WaitingRule::see(double delayed) {
  if (delayed > crowded) {
    asleep_ = true;
    quiet_windows_ = 0;
  } else if (asleep_) {
    quiet_windows_ = delayed < quiet ? quiet_windows_ + 1 : 0;
    asleep_ = quiet_windows_ < windows_of_quiet;
  }
  return asleep_;
}

WaitAsleep::WaitAsleep() {
  // OpenMP counts the calling thread's team, and one thread for each further team beyond its first.
  const int extra = omp_get_num_procs() - omp_get_max_threads() + 2;
  if (environment_decides() || threads_are_limited() || extra < 2 || extra > most_extra_threads) return;
  if (threads_that_start(extra) < extra) return;  // OpenMP ends the program if it gets no thread
  try {
    extra_ = std::jthread([extra](const std::stop_token& end) {
      std::atomic<int> started{0};
      // The threads of this team sleep once it has ended, and are counted until this thread ends. Without any work the
      // compiler would leave the team out.
#pragma omp parallel num_threads(extra)
      started.fetch_add(1);
      ends_within(end, std::nullopt);
    });
  } catch (const std::system_error&) {
  }
}

AdaptiveWaiting::AdaptiveWaiting() {
  if (environment_decides() || threads_are_limited()) return;
  try {
    watch_ = std::jthread([](const std::stop_token& end) {
      try {
        look(end);
      } catch (const std::exception&) {  // no memory left for looking: threads go on waiting as OpenMP has it
      }
    });
  } catch (const std::system_error&) {
  }
}

}  // namespace kindred
