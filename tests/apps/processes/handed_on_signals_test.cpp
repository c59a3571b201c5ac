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

enum class Sender { hands_on, no_longer_does, is_anybody };

// How a process ends that is sent SIGTERM twice and then asked to end: its exit code, or 128 + the signal.
int end_after_two_signals(Sender sender) {
  std::array<int, 2> ready{}, done{};
  REQUIRE(::pipe(ready.data()) == 0);
  REQUIRE(::pipe(done.data()) == 0);
  const pid_t parent = ::getpid(), child = ::fork();
  REQUIRE(child >= 0);
  char byte = 1;
  if (child == 0) {
    ::close(done[1]);
    if (sender != Sender::is_anybody) take_as_handed_on(parent);
    if (sender == Sender::no_longer_does) take_none_as_handed_on();
    watch_for_interrupts();
    const bool is_ready = ::write(ready[1], &byte, 1) == 1;
    while (interrupt_signal() == 0) std::this_thread::sleep_for(1ms);
    const bool told = is_ready && ::write(ready[1], &byte, 1) == 1;
    while (::read(done[0], &byte, 1) < 0) {  // until the parent closes its end
    }
    ::_exit(told && interrupt_signal() == SIGTERM ? 8 : 1);
  }
  for (const int end : {ready[1], done[0]}) ::close(end);
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  ::kill(child, SIGTERM);
  REQUIRE(::read(ready[0], &byte, 1) == 1);  // the child has noticed it
  std::this_thread::sleep_for(longer_than_a_repetition);
  ::kill(child, SIGTERM);  // before the pipe is closed, so it arrives before the child's read() returns
  for (const int end : {done[1], ready[0]}) ::close(end);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST_CASE("handed-on signals: ask a process to end, and a second one does not end it at once") {
  CHECK(end_after_two_signals(Sender::hands_on) == 8);
}

TEST_CASE("handed-on signals: of anybody else a second one ends it at once, also once it works alone") {
  CHECK(end_after_two_signals(Sender::is_anybody) == 128 + SIGTERM);
  CHECK(end_after_two_signals(Sender::no_longer_does) == 128 + SIGTERM);
}

}  // namespace
}  // namespace kindred
