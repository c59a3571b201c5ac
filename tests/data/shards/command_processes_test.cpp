// The processes of a shell's command: none outlives the program, and without any the program says so.
#include "../test_images.h"

#include <doctest/doctest.h>
#include <kindred/data/files/command.h>
#include <kindred/data/files/file.h>
#include <kindred/data/sets/shards/fetch_shards.h>

#include <fmt/core.h>
#include <signal.h>        // defines: kill
#include <sys/resource.h>  // defines: setrlimit
#include <sys/wait.h>      // defines: waitpid
#include <unistd.h>        // defines: fork, setuid, _exit

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

using namespace kindred;
using namespace kindred::test;

namespace {

namespace fs = std::filesystem;

std::string take_all(std::span<const std::uint8_t>) {
  return {};
}

// Whether a process is there and has not ended: one that nobody has waited for has.
bool is_alive(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/stat", process));
  std::string text;
  std::getline(file, text);
  const std::size_t behind_name = text.rfind(')');
  return behind_name != text.npos && text.size() > behind_name + 2 && text[behind_name + 2] != 'Z';
}

template <typename Condition>
bool comes_true(const Condition& condition, double seconds = 30) {
  const auto start = std::chrono::steady_clock::now();
  while (!condition()) {
    if (std::chrono::steady_clock::now() - start > std::chrono::duration<double>(seconds)) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

// The numbers in a file that a command writes, once they are so many.
std::vector<pid_t> processes_in(const fs::path& path, std::size_t count) {
  std::vector<pid_t> found;
  comes_true([&] {
    std::ifstream file(path);
    found.clear();
    for (pid_t process = 0; file >> process;) found.push_back(process);
    return found.size() == count;
  });
  return found;
}

// The code with which a child ends that does `work`.
int code_of_child(const std::function<int()>& work) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(work());
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

// From now on the system has no process for this one. Root is not limited.
void take_no_more_processes() {
  const rlimit none{1, 1};
  ::setrlimit(RLIMIT_NPROC, &none);
  constexpr uid_t nobody = 65534;
  if (::geteuid() == 0 && ::setuid(nobody) != 0) ::_exit(77);
}

bool system_keeps_to_limits() {
  return code_of_child([] {
           take_no_more_processes();
           const pid_t child = ::fork();
           if (child == 0) ::_exit(0);
           return child < 0 ? 0 : 1;
         }) == 0;
}

}  // namespace

TEST_CASE("command processes: a command does not outlive a program that is killed") {
  const TempFolder folder;
  const std::string file = (folder.path() / "processes").string();
  // Neither the shell, nor what it waits for, nor what it has put into the background ever writes.
  const std::string command = fmt::format(
      "echo $$ >> {0}; sleep 300 & echo $! >> {0}; (sleep 300; cat) & echo $! >> {0}; sleep 300; cat", file);
  const pid_t program = ::fork();
  REQUIRE(program >= 0);
  if (program == 0) {
    run_command(command, take_all, {300, {}});
    ::_exit(0);
  }
  std::vector<pid_t> processes = processes_in(file, 3);
  REQUIRE(processes.size() == 3);
  const pid_t group = ::getpgid(processes.front());
  CHECK(group != ::getpgrp());
  CHECK(::getpgid(processes[1]) == group);
  processes.push_back(group);  // the watcher
  for (const pid_t process : processes) CHECK(is_alive(process));
  ::kill(program, SIGKILL);
  int status = 0;
  REQUIRE(::waitpid(program, &status, 0) == program);
  CHECK(WIFSIGNALED(status));
  for (const pid_t process : processes) CHECK(comes_true([&] { return !is_alive(process); }));
  if (group > 1 && group != ::getpgrp()) ::kill(-group, SIGKILL);  // where it failed
}

TEST_CASE(
    "command processes: nothing stays of a command that is ended, and nobody watches one that has ended") {
  const TempFolder folder;
  const std::string file = (folder.path() / "processes").string();
  const std::string command = fmt::format("echo $$ >> {0}; sleep 300 & echo $! >> {0}; ", file);
  CHECK(run_command(command + "sleep 300", take_all, {0.3, {}}).ending == CommandOutcome::Ending::silent);
  for (const pid_t process : processes_in(file, 2)) CHECK(comes_true([&] { return !is_alive(process); }));

  fs::remove(file);
  const CommandOutcome ended =
      run_command(fmt::format("ps -o pgid= -p $$ >> {0} || cut -d ' ' -f 5 /proc/$$/stat >> {0}", file),
                  take_all, {20, {}});
  CHECK(ended.ok());
  const std::vector<pid_t> watcher = processes_in(file, 1);
  REQUIRE(watcher.size() == 1);
  CHECK(watcher.front() != ::getpgrp());
  CHECK(!is_alive(watcher.front()));  // it was waited for
}

TEST_CASE(
    "command processes: without a process for it a command does not run, and that is no error of its data") {
  if (!system_keeps_to_limits()) return;
  const TempFolder cache;
  fs::permissions(cache.path(), fs::perms::all);
  CHECK(code_of_child([] {
          take_no_more_processes();
          const CommandOutcome outcome = run_command("true", take_all, {20, {}});
          return outcome.ending == CommandOutcome::Ending::no_process ? 0 : 1;
        }) == 0);
  CHECK(code_of_child([&] {
          take_no_more_processes();
          ShardRequest request{{"pipe:cat x.tar"}, {}, cache.string()};
          request.first_wait_seconds = 1000;  // there is no second attempt
          try {
            fetch_shards(request);
          } catch (const Error& error) {
            const bool names_it = contains(error.what(), "shard 1 of 1: pipe:cat x.tar could not run: ");
            return error.code() == ExitCode::device && error.cause() == Cause::out_of_processes && names_it ? 0
                                                                                                          : 2;
          }
          return 1;
        }) == 0);
}

TEST_CASE(
    "command processes: a shell that gets no process says so, and one of another machine is another matter") {
  const auto ending = [](const std::string& words) {
    return run_command("echo \"" + words + "\" >&2; exit 2", take_all, {20, {}}).ending;
  };
  using Ending = CommandOutcome::Ending;
  for (const char* const words :
       {"sh: 0: Cannot fork", "sh: fork: retry: Resource temporarily unavailable",
        "sh: can't fork: Resource temporarily unavailable", "sh: fork: Cannot allocate memory"})
    CHECK(ending(words) == Ending::no_process);
  for (const char* const words :
       {"bash: fork: Resource temporarily unavailable", "sh: 1: x: not found",
        "sh: 1: cannot open fork: No such file", "curl: Resource temporarily unavailable"})
    CHECK(ending(words) == Ending::exited);
  const TempFolder cache;
  ShardRequest request{{"pipe:echo run >> " + cache.string() + "/runs; echo 'sh: 0: Cannot fork' >&2; exit 2"},
                       {},
                       cache.string()};
  request.first_wait_seconds = 0.001;
  CHECK(cause_of([&] { fetch_shards(request); }) == Cause::out_of_processes);
  CHECK(code_of([&] { fetch_shards(request); }) == ExitCode::device);
  CHECK(fs::file_size(cache.path() / "runs") == 8);  // one for each of these calls
}
