// What goes wrong before MPI is open: processes that do not start, and errors that only one of them has.
#include "run_processes.h"

#include <kindred/apps/processes/places.h>

#include <doctest/doctest.h>

#include <signal.h>  // defines: kill

#include <chrono>
#include <filesystem>
#include <thread>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

int count_of(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

struct SmallRun {
  explicit SmallRun(const TemporaryFolder& folder)
      : out(folder / "run"),
        arguments(draw_tiny_set(folder) + " --out " + out + tiny + "--device cpu --knn-every 0 ") {}

  std::string out, arguments;
};

// The launcher's line about rank 1; on a machine that is busy, rank 0 may not be there in time either.
void expect_did_not_start(const ProgramResult& result, const std::string& out) {
  CAPTURE(result.output);
  CHECK(result.code == 9);
  CHECK(is_one_line_error(result));
  const bool names_it =
      says(result, "pretrain: error: rank 1 on " + host_name() + " did not start within 4 s; ") ||
      says(result, "pretrain: error: ranks 0 and 1 on " + host_name() + " did not start within 4 s; ");
  CHECK(names_it);
  CHECK(says(result, "raise --timeout if "));
  CHECK(nothing_is_left("pretrain", out));
}

TEST_CASE("early faults: processes that start at different times train together") {
  if (!has_mpi()) return;
  for (const int rank : {0, 1}) {
    const TemporaryFolder folder;
    const SmallRun run(folder);
    const ShellBeforeProcesses shell(folder, if_rank(rank, "sleep 2"));
    const auto launched = run_program_with(shell.for_launcher(), "pretrain", run.arguments + "--processes 2");
    CAPTURE(launched.output);
    CHECK(launched.code == 0);
    const auto by_hand = run_program_with(shell.by_hand(), "pretrain", run.arguments + "--overwrite");
    CAPTURE(by_hand.output);
    CHECK(by_hand.code == 0);
  }
}

TEST_CASE(
    "early faults: a process that never starts, or is stopped before, ends the run after the time limit") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const SmallRun run(folder);
  const std::string arguments = run.arguments + "--processes 2 --timeout 4";
  const ShellBeforeProcesses sleeps(folder, if_rank(1, "exec sleep " + long_sleep()));
  expect_did_not_start(run_program_with(sleeps.for_launcher(), "pretrain", arguments), run.out);
  CHECK(nothing_is_left("sleep", long_sleep()));
  const ShellBeforeProcesses stopped(folder, if_rank(1, "kill -STOP $$"));
  expect_did_not_start(run_program_with(stopped.for_launcher(), "pretrain", arguments), run.out);
  CHECK(nothing_is_left(fs::canonical("/bin/sh").filename(), run.out));
  CHECK(!fs::exists(run.out));
}

TEST_CASE("early faults: an mpirun that starts nothing is ended, with what it has started") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const SmallRun run(folder);
  const auto result = run_program_with(prefix_for_mpirun(folder, "sleep " + long_sleep() + "\nexit 0\n"),
                                       "pretrain", run.arguments + "--processes 2 --timeout 1");
  CAPTURE(result.output);
  CHECK(result.code == 9);
  CHECK(says(result, "pretrain: error: ranks 0 and 1 on " + host_name() +
                         " did not start within 1 s; raise --timeout if they start slowly\n"));
  CHECK(is_one_line_error(result));
  CHECK(nothing_is_left("sleep", long_sleep()));
}

TEST_CASE("early faults: a signal before the processes have started ends the run at once") {
  if (!has_mpi()) return;
  const std::string sleeps = "exec sleep " + long_sleep();
  for (const bool starts_one : {false, true}) {
    CAPTURE(starts_one);
    const TemporaryFolder folder;
    const SmallRun run(folder);
    const std::string prefix = starts_one ? ShellBeforeProcesses(folder, if_rank(1, sleeps)).for_launcher()
                                          : prefix_for_mpirun(folder, sleeps + "\n");
    const ProgramResult result = run_program_and(
        "pretrain", run.arguments + "--processes 2 --timeout 100000", run.out,
        [] { return !processes_of_run("sleep", long_sleep()).empty(); },
        [](const std::vector<RunProcess>& processes) {
          for (const RunProcess& process : processes)
            if (!process.rank) ::kill(process.process, SIGTERM);
        },
        prefix);
    CAPTURE(result.output);
    CHECK(result.code == 8);
    CHECK(says(result, "pretrain: SIGTERM: the processes had not started; "));
    CHECK(says(result, "the same command begins anew\n"));
    CHECK(nothing_is_left("pretrain", run.out));
    CHECK(nothing_is_left("sleep", long_sleep()));
    CHECK(!fs::exists(run.out));
  }
}

TEST_CASE("early faults: a run of several processes is not started in a folder that is gone") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const SmallRun run(folder);
  const std::string gone = folder / "gone";
  const ProgramResult result =
      run_program_with("mkdir " + gone + " && cd " + gone + " && rmdir " + gone + " && ", "pretrain",
                       run.arguments + "--processes 2");
  CAPTURE(result.output);
  CHECK(result.code == 5);
  CHECK(is_one_line_error(result));
  CHECK(says(result, "pretrain: error: the current folder is gone; change to one that exists\n"));
}

TEST_CASE("early faults: a batch that processes cannot share is not advised where the loss does not take it") {
  const TemporaryFolder folder;
  const SmallRun run(folder);
  const std::string refused = "--batch-size 1: 2 processes take equal shares of it; --batch-size 2 would fit";
  const std::string arguments = run.arguments + "-b 1 --processes 2 --dry-run ";
  CHECK(says(run_program("pretrain", arguments), refused + "\n"));
  CHECK(says(run_program("pretrain", arguments + "--loss cross_entropy"),
             refused + ", and so would 1 process\n"));
}

TEST_CASE("early faults: what a script had started before it became the launcher goes on") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const SmallRun run(folder);
  const std::string beside = "sleep " + long_sleep() + " > /dev/null 2>&1 & exec env ";
  const auto result = run_program_with(beside + prefix_for_mpirun(folder, "exit 1\n"), "pretrain",
                                       run.arguments + "--processes 2");
  CAPTURE(result.output);
  CHECK(result.code == 5);
  CHECK(is_one_line_error(result));
  std::vector<RunProcess> alive;
  for (int i = 0; i < 400 && alive.empty(); ++i) {  // it may not have become sleep yet
    alive = processes_of_run("sleep", long_sleep());
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  CHECK(alive.size() == 1);
  for (const RunProcess& process : alive) ::kill(process.process, SIGKILL);
}

TEST_CASE("early faults: by hand, whoever is there says that MPI does not open") {
  if (!has_mpi()) return;
  for (const int missing : {0, 1}) {
    const TemporaryFolder folder;
    const SmallRun run(folder);
    const ShellBeforeProcesses shell(folder, if_rank(missing, "exec sleep " + long_sleep()));
    const auto result = run_program_with(shell.by_hand(), "pretrain", run.arguments + "--timeout 2");
    CAPTURE(result.output);
    CHECK(result.code == 9);
    const std::string who = missing == 0 ? "rank 1 on " + host_name() + ": " : "";
    CHECK(says(result,
               "pretrain: error: " + who + "MPI did not open within 9 s: one of the 2 processes has not "));
    CHECK(count_of(result.output, "error: ") == 1);
    CHECK(nothing_is_left("pretrain", run.out));
    CHECK(nothing_is_left("sleep", long_sleep()));
  }
}

TEST_CASE("early faults: an error that one process has alone is said with its rank, whichever it is") {
  if (!has_mpi()) return;
  for (const int rank : {0, 1}) {
    const TemporaryFolder folder;
    const SmallRun run(folder);
    const ShellBeforeProcesses shell(folder, if_rank(rank, "set -- \"$@\" --no-such-flag"));
    const std::string who = rank == 0 ? "" : "rank 1 on " + host_name() + ": ";
    const auto by_hand = run_program_with(shell.by_hand(), "pretrain", run.arguments);
    const auto launched = run_program_with(shell.for_launcher(), "pretrain", run.arguments + "--processes 2");
    for (const ProgramResult* const result : {&by_hand, &launched}) {
      CAPTURE(result->output);
      CHECK(result->code == 2);
      CHECK(says(*result, "pretrain: error: " + who + "--no-such-flag"));
      CHECK(count_of(result->output, "error: ") == 1);
    }
    CHECK(is_one_line_error(launched));
    CHECK(nothing_is_left("pretrain", run.out));
  }
}

TEST_CASE("early faults: a time limit that is shorter than rank 0's turn does not hide another one's error") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const SmallRun run(folder);
  const ShellBeforeProcesses shell(folder, if_rank(1, "set -- \"$@\" --no-such-flag"));
  const std::string line = "pretrain: error: rank 1 on " + host_name() + ": --no-such-flag";
  const auto by_hand = run_program_with(shell.by_hand(), "pretrain", run.arguments + "--timeout 2");
  CAPTURE(by_hand.output);
  CHECK(by_hand.code == 2);
  CHECK(says(by_hand, line));
  const auto launched =
      run_program_with(shell.for_launcher(), "pretrain", run.arguments + "--processes 2 --timeout 3");
  CAPTURE(launched.output);
  // On a machine that is busy the limit may be over before they are there.
  const bool has_started = !says(launched, " did not start within 3 s; ");
  CHECK(launched.code == (has_started ? 2 : 9));
  CHECK(says(launched, line) == has_started);
  CHECK(is_one_line_error(launched));
  CHECK(nothing_is_left("pretrain", run.out));
}

// The second process has its error when the first one may have ended, which says it for both.
TEST_CASE("early faults: an error of all processes is said once") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const SmallRun run(folder);
  const ShellBeforeProcesses shell(folder, if_rank(1, "sleep 1") + "; set -- \"$@\" --no-such-flag");
  const auto by_hand = run_program_with(shell.by_hand(), "pretrain", run.arguments);
  const auto launched = run_program_with(shell.for_launcher(), "pretrain", run.arguments + "--processes 2");
  for (const ProgramResult* const result : {&by_hand, &launched}) {
    CAPTURE(result->output);
    CHECK(result->code == 2);
    CHECK(count_of(result->output, "no-such-flag") == 1);
    CHECK(says(*result, "pretrain: error: --no-such-flag"));
  }
}

TEST_CASE("early faults: a process that is killed while shards are read is named, and not a signal of mpirun") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const std::string out = folder / "run";
  const auto result = run_program_and(
      "pretrain",
      "--shards 'pipe:sleep " + long_sleep() + "; cat nothing.tar' --out " + out + tiny +
          "--device cpu --knn-every 0 --processes 2",
      out, [] { return !processes_of_run("sleep", long_sleep()).empty(); },
      [](const std::vector<RunProcess>& processes) {
        for (const RunProcess& process : processes)
          if (process.rank == 1) ::kill(process.process, SIGKILL);
      });
  CAPTURE(result.output);
  CHECK(result.code == 9);
  CHECK(says(result, "pretrain: error: rank 1 on " + host_name() + " was killed by SIGKILL"));
  CHECK(is_one_line_error(result));
  CHECK(!says(result, "SIGTERM"));
  CHECK(nothing_is_left("pretrain", out));
  CHECK(nothing_is_left("sleep", long_sleep()));
}

namespace {

// A run of two processes with this script in mpirun's place, which must end with code 5 and one line that begins so.
ProgramResult run_without_processes(const std::string& script, const std::string& line) {
  const TemporaryFolder folder;
  const SmallRun run(folder);
  const ProgramResult result =
      run_program_with(prefix_for_mpirun(folder, script), "pretrain", run.arguments + "--processes 2");
  CAPTURE(result.output);
  CHECK(result.code == 5);
  CHECK(says(result, "pretrain: error: " + line));
  CHECK(is_one_line_error(result));
  return result;
}

}  // namespace

TEST_CASE("early faults: a crash of mpirun is told in a line, whatever it wrote") {
  if (!has_mpi()) return;
  run_without_processes("echo '[node7:1] *** Process received signal ***' >&2\nkill -SEGV $$\n",
                        "no process could be started: mpirun was killed by SIGSEGV\n");
}

TEST_CASE("early faults: an mpirun that gets no processes from the system is told with the limit") {
  if (!has_mpi()) return;
  const ProgramResult result = run_without_processes(
      "echo 'mpirun: fork: Resource temporarily unavailable' >&2\nexit 1\n",
      "mpirun could not start 2 processes: mpirun: fork: Resource temporarily unavailable; ");
  CHECK(says(result, "use fewer --processes; "));
}

TEST_CASE("early faults: a dry run among processes that train is named") {
  if (!has_mpi()) return;
  for (const int rank : {0, 1}) {
    const TemporaryFolder folder;
    const SmallRun run(folder);
    const ShellBeforeProcesses shell(folder, if_rank(rank, "set -- \"$@\" --dry-run"));
    const auto result = run_program_with(shell.by_hand(), "pretrain", run.arguments);
    CAPTURE(result.output);
    CHECK(result.code == 2);
    CHECK(says(result, "rank 1 on " + host_name() + " has other words in its command than rank 0 on " +
                           host_name() +
                           (rank == 1 ? ": --dry-run, and not nothing; " : ": nothing, and not --dry-run; ")));
    CHECK(count_of(result.output, "error: ") == 1);
    CHECK(!fs::exists(run.out));
  }
}

}  // namespace
}  // namespace kindred
