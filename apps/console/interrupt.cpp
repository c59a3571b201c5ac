#include <kindred/apps/console/interrupt.h>
#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/error.h>

#include <signal.h>  // defines: sigaction, SA_RESTART
#include <unistd.h>  // defines: _exit

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <ctime>

namespace kindred {
namespace {

constexpr std::int64_t repeat_nanoseconds = 200'000'000;

std::atomic<int> received{0};
std::atomic<std::int64_t> received_at{0};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<std::int64_t>::is_always_lock_free,
              "a signal handler may touch nothing else");

// Numbers of processes; 0: none.
constexpr std::size_t most_senders = 3;
std::array<std::atomic<int>, most_senders> senders{};

bool is_handed_on(const siginfo_t& from) {
  if (from.si_code != SI_USER) return false;  // from no process: a terminal
  for (const std::atomic<int>& sender : senders)
    if (sender.load() == from.si_pid && from.si_pid > 0) return true;
  return false;
}

void on_signal(int signal, siginfo_t* from, void*) {
  if (is_handed_on(*from)) {
    learn_of_interrupt(signal);
    return;
  }
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const std::int64_t at = now.tv_sec * 1'000'000'000LL + now.tv_nsec;
  // The time decides which signal is the first, so that another one never finds a first signal without a time.
  std::int64_t first = 0;
  if (received_at.compare_exchange_strong(first, at))
    received = signal;
  else if (at - first > repeat_nanoseconds)
    _exit(128 + signal);
}

}  // namespace

void watch_for_interrupts() {
  struct sigaction action {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_RESTART | SA_SIGINFO;  // interrupted reads and writes continue
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGHUP}) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    if (signal == SIGHUP && before.sa_handler == SIG_IGN) continue;
    sigaction(signal, &action, nullptr);
  }
}

int interrupt_signal() {
  return received.load();
}

int agreed_interrupt_signal(const Communicator& processes) {
  if (processes.is_alone()) return interrupt_signal();
  const int signal = static_cast<int>(processes.max({static_cast<double>(interrupt_signal())}).front());
  learn_of_interrupt(signal);
  return signal;  // one that has arrived since then is for the next call, in all processes
}

// The time of a first signal stays unset: one that this process gets later is its first, and does not end it at once.
void learn_of_interrupt(int signal) {
  int none = 0;
  if (signal != 0) received.compare_exchange_strong(none, signal);
}

void take_as_handed_on(int sender) {
  for (std::atomic<int>& place : senders) {
    int none = 0;
    if (place.load() == sender || place.compare_exchange_strong(none, sender)) return;
  }
}

void take_none_as_handed_on() {
  for (std::atomic<int>& place : senders) place = 0;
}

const char* interrupt_name() {
  switch (interrupt_signal()) {
    case 0:
      return "";
    case SIGINT:
      return "SIGINT";
    case SIGTERM:
      return "SIGTERM";
    case SIGHUP:
      return "SIGHUP";
    default:
      return "SIGUSR1";
  }
}

void end_if_interrupted(const std::string& what) {
  check(interrupt_signal() == 0, ExitCode::interrupted, "{}: {}", interrupt_name(), what);
}

}  // namespace kindred
