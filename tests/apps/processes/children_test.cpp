// How a launcher watches what it has started.
#include <kindred/apps/processes/launcher/children.h>
#include <kindred/apps/processes/launcher/watched_time.h>

#include <doctest/doctest.h>

#include <signal.h>    // defines: kill
#include <sys/wait.h>  // defines: waitpid
#include <unistd.h>    // defines: fork, pause

#include <atomic>
#include <thread>
#include <vector>

namespace kindred {
namespace {

// A child that does nothing.
class IdleChild {
 public:
  IdleChild() : process_(::fork()) {
    REQUIRE(process_ >= 0);
    while (process_ == 0) ::pause();
  }
  ~IdleChild() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  IdleChild(const IdleChild&) = delete;
  IdleChild& operator=(const IdleChild&) = delete;

  void stop() const {
    ::kill(process_, SIGSTOP);
    ::waitpid(process_, nullptr, WUNTRACED);
  }
  void go_on() const {
    ::kill(process_, SIGCONT);
    ::waitpid(process_, nullptr, WCONTINUED);
  }
  pid_t number() const { return process_; }

 private:
  pid_t process_;
};

TEST_CASE("children: processes count as stopped only while all are") {
  const IdleChild first, second, starter;
  const std::vector<pid_t> both = {first.number(), second.number()};
  StoppedWatch watch;
  CHECK(watch.look(10, both, starter.number()) == 0);
  first.stop();
  CHECK(watch.look(12, both, starter.number()) == 0);
  second.stop();
  CHECK(watch.look(14, both, starter.number()) == 0);  // seen for the first time
  CHECK(watch.look(21.5, both, starter.number()) == 7.5);
  first.go_on();
  CHECK(watch.look(23, both, starter.number()) == 0);
  first.stop();
  CHECK(watch.look(25, both, starter.number()) == 0);
  CHECK(watch.look(26.25, both, starter.number()) == 1.25);
  CHECK(watch.look(28, {}, starter.number()) == 0);
}

TEST_CASE("children: who has started processes is woken when it alone is stopped") {
  const IdleChild process, starter;
  StoppedWatch watch;
  starter.stop();
  watch.look(10, {process.number()}, starter.number());
  CHECK(is_stopped(starter.number()));
  watch.look(10.5, {process.number()}, starter.number());  // too early for a second look
  CHECK(is_stopped(starter.number()));
  process.stop();
  watch.look(12, {process.number()}, starter.number());
  watch.look(14, {process.number()}, starter.number());
  CHECK(is_stopped(starter.number()));  // all are
  process.go_on();
  watch.look(16, {process.number()}, starter.number());
  CHECK(is_stopped(starter.number()));
  watch.look(18, {process.number()}, starter.number());
  CHECK(!is_stopped(starter.number()));
}

TEST_CASE("children: time in which the launcher does not look counts for a second at most") {
  WatchedTime time;
  const double start = now_seconds() + 10;
  time.go_on_to(start);
  const double before = time.seconds();
  time.go_on_to(start + 0.5);
  time.go_on_to(start + 0.75);
  CHECK(time.seconds() - before == doctest::Approx(0.75));
  time.go_on_to(start + 3600);
  CHECK(time.seconds() - before == doctest::Approx(1.75));
}

TEST_CASE("children: a process that ends while it is looked at is no fault") {
  std::atomic<pid_t> present{::getpid()};
  const std::jthread starter([&](const std::stop_token& end) {
    while (!end.stop_requested()) {
      const pid_t child = ::fork();
      if (child == 0) ::_exit(0);
      if (child < 0) continue;
      present = child;
      ::waitpid(child, nullptr, 0);
    }
  });
  int stopped = 0;
  for (int look = 0; look < 100'000; ++look) stopped += is_stopped(present);
  CHECK(stopped == 0);
}

}  // namespace
}  // namespace kindred
