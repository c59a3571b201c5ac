// A signal that a launcher hands on, beside the one that the process got itself.
#include <kindred/apps/console/interrupt.h>

#include <doctest/doctest.h>

#include <signal.h>    // defines: kill
#include <sys/wait.h>  // defines: waitpid
#include <unistd.h>    // defines: fork, pipe

#include <array>
#include <chrono>
#include <thread>

namespace kindred {
namespace {

using namespace std::chrono_literals;

constexpr auto longer_than_a_repetition = 400ms;

// How a process ends that is sent SIGTERM twice and then asked to end: its exit code, or 128 + the signal.
int end_after_two_signals(bool are_handed_on) {
  std::array<int, 2> ready{}, done{};
  REQUIRE(::pipe(ready.data()) == 0);
  REQUIRE(::pipe(done.data()) == 0);
  const pid_t parent = ::getpid(), child = ::fork();
  REQUIRE(child >= 0);
  char byte = 1;
  if (child == 0) {
    ::close(done[1]);
    if (are_handed_on) take_as_handed_on(parent);
    watch_for_interrupts();
    const bool told = ::write(ready[1], &byte, 1) == 1;
    while (::read(done[0], &byte, 1) < 0) {  // until the parent closes its end
    }
    ::_exit(told && interrupt_signal() == SIGTERM ? 8 : 1);
  }
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  ::close(done[0]);
  for (int i = 0; i < 2; ++i) {
    ::kill(child, SIGTERM);
    std::this_thread::sleep_for(longer_than_a_repetition);
  }
  for (const int end : {done[1], ready[0], ready[1]}) ::close(end);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST_CASE("handed-on signals: ask a process to end, and a second one does not end it at once") {
  CHECK(end_after_two_signals(true) == 8);
}

TEST_CASE("handed-on signals: of anybody else a second one ends it at once") {
  CHECK(end_after_two_signals(false) == 128 + SIGTERM);
}

}  // namespace
}  // namespace kindred
