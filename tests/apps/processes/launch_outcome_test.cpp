// The line and the code with which a run of several processes ends, from what its launcher has seen.
#include <kindred/apps/console/advice.h>
#include <kindred/apps/processes/launch_outcome.h>

#include <doctest/doctest.h>

#include <csignal>

namespace kindred {
namespace {

// As waitpid() gives it.
constexpr int ended_with(int code) {
  return code << 8;
}

LaunchSeen two_processes() {
  LaunchSeen seen;
  seen.processes = 2;
  seen.host = "node7";
  seen.ended.resize(2);
  seen.joined = {true, true};
  return seen;
}

const char* const killed =
    "--------------------------------------------------------------------------\n"
    "Primary job  terminated normally, but 1 process returned\n"
    "a non-zero exit code. Per user-direction, the job has been aborted.\n"
    "--------------------------------------------------------------------------\n"
    "--------------------------------------------------------------------------\n"
    "mpirun noticed that process rank 1 with PID 0 on node node7 exited on signal 9 (Killed).\n"
    "--------------------------------------------------------------------------\n";

TEST_CASE("launch outcome: a good end says nothing") {
  LaunchSeen seen = two_processes();
  seen.ended = {0, 0};
  const LaunchOutcome outcome = launch_outcome(seen);
  CHECK(outcome.code == 0);
  CHECK(outcome.line.empty());
}

TEST_CASE("launch outcome: the code of an ordered end is that of rank 0, whatever mpirun makes of it") {
  LaunchSeen seen = two_processes();
  seen.ended = {8, std::nullopt};  // mpirun killed rank 1 when rank 0 had ended with a code
  seen.first_gone = 1;
  seen.status = ended_with(8);
  seen.words = killed;
  const LaunchOutcome outcome = launch_outcome(seen);
  CHECK(outcome.code == 8);
  CHECK(outcome.line.empty());
}

TEST_CASE("launch outcome: an error's line and code come before all else") {
  LaunchSeen seen = two_processes();
  seen.failure = LaunchedMessage{LaunchedMessage::Kind::failed, 3, 0, "rank 1 on node7: the folder is empty"};
  seen.first_gone = 0;
  seen.status = ended_with(137);
  seen.words = killed;
  const LaunchOutcome outcome = launch_outcome(seen);
  CHECK(outcome.code == 3);
  CHECK(outcome.line == "rank 1 on node7: the folder is empty");
}

TEST_CASE("launch outcome: a killed process is named") {
  LaunchSeen seen = two_processes();
  seen.first_gone = 0;  // the order in which connections close need not be that of the deaths
  seen.status = ended_with(137);
  seen.words = killed;
  const LaunchOutcome outcome = launch_outcome(seen);
  CHECK(outcome.code == 9);
  CHECK(outcome.line.starts_with(
      "rank 1 on node7 was killed by SIGKILL, by someone or because memory ran out; "));
  seen.words =
      "prterun noticed that process rank 1 with PID 4711 on node\nnode7 exited on signal 11 "
      "(Segmentation\nfault).\n";
  CHECK(launch_outcome(seen).line.starts_with("rank 1 on node7 was killed by SIGSEGV; "));
}

TEST_CASE("launch outcome: a process that is gone without a word is lost") {
  LaunchSeen seen = two_processes();
  seen.first_gone = 1;
  const LaunchOutcome outcome = launch_outcome(seen);
  CHECK(outcome.code == 9);
  CHECK(outcome.line.starts_with("rank 1 on node7 ended without a word; "));
}

TEST_CASE("launch outcome: mpirun itself was killed") {
  LaunchSeen seen = two_processes();
  seen.status = SIGKILL;
  const LaunchOutcome outcome = launch_outcome(seen);
  CHECK(outcome.code == 9);
  CHECK(outcome.line.starts_with("mpirun was killed by SIGKILL; "));
  CHECK(outcome.line.ends_with(advice_to_go_on()));
}

TEST_CASE("launch outcome: an error that a process wrote before it was heard") {
  LaunchSeen seen = two_processes();
  seen.first_gone = 1;
  seen.status = ended_with(5);
  seen.words =
      "error: out of memory on the host; use a smaller --batch-size\n" + std::string(killed).substr(0, 200);
  const LaunchOutcome outcome = launch_outcome(seen);
  CHECK(outcome.code == 5);
  CHECK(outcome.line == "out of memory on the host; use a smaller --batch-size");
}

TEST_CASE("launch outcome: if nothing could be started, mpirun's words say why") {
  LaunchSeen seen = two_processes();
  seen.joined = {false, false};
  seen.status = ended_with(1);
  seen.words =
      "--------------------------------------------------------------------------\n"
      "There are not enough slots available in the system\nto satisfy the 2 slots that were requested.\n\n"
      "Either request fewer "
      "slots.\n--------------------------------------------------------------------------\nmore\n";
  const LaunchOutcome outcome = launch_outcome(seen);
  CHECK(outcome.code == 5);
  CHECK(outcome.line ==
        "no process could be started: There are not enough slots available in the system to satisfy the 2 "
        "slots that were requested.");
  seen.words.clear();
  CHECK(launch_outcome(seen).line == "no process could be started: mpirun ended with code 1");
  seen.status = SIGKILL;
  CHECK(launch_outcome(seen).line == "no process could be started: mpirun was killed by SIGKILL");
}

TEST_CASE("launch outcome: processes that did not start are named, and if all did, those that hang") {
  LaunchSeen seen = two_processes();
  seen.joined = {true, false};
  seen.opened = {false, false};
  CHECK(line_of_missing_processes(seen, {}, 60) ==
        "rank 1 on node7 did not start within 60 s; raise --timeout if it starts slowly");
  CHECK(line_of_missing_processes(seen, {0}, 60).starts_with("rank 1 on node7 did not start"));
  seen.joined = {false, false};
  CHECK(line_of_missing_processes(seen, {}, 2.5) ==
        "ranks 0 and 1 on node7 did not start within 2.5 s; raise --timeout if they start slowly");
  seen.joined = {true, true};
  CHECK(line_of_missing_processes(seen, {}, 60) ==
        "ranks 0 and 1 on node7 did not open MPI within 60 s; raise --timeout if they start slowly");
  CHECK(line_of_missing_processes(seen, {1}, 60) ==
        "rank 1 on node7 is stopped or waits for a file system, and did not open MPI within 60 s");
  seen.opened = {true, false};
  CHECK(line_of_missing_processes(seen, {}, 60).starts_with("rank 1 on node7 did not open MPI within 60 s; "));
  seen.joined.assign(12, false);
  CHECK(line_of_missing_processes(seen, {}, 60)
            .starts_with("ranks 0, 1, 2, 3, 4, 5, 6, 7 and 4 more on node7 did not start within 60 s; "));
  seen.joined = {false, true, false, false};
  CHECK(line_of_missing_processes(seen, {}, 60).starts_with("ranks 0, 2 and 3 on node7 did not start"));
}

TEST_CASE("launch outcome: messages of processes") {
  const auto hello = read_launched_message("hello 3 4711");
  REQUIRE(hello);
  CHECK(hello->kind == LaunchedMessage::Kind::hello);
  CHECK(hello->number == 3);
  CHECK(hello->process == 4711);
  const auto open = read_launched_message("open 0");
  REQUIRE(open);
  CHECK(open->kind == LaunchedMessage::Kind::open);
  const auto failing = read_launched_message("failing 0");
  REQUIRE(failing);
  CHECK(failing->kind == LaunchedMessage::Kind::failing);
  const auto failed = read_launched_message("failed 2 --lr -1: expected 0 or more");
  REQUIRE(failed);
  CHECK(failed->number == 2);
  CHECK(failed->text == "--lr -1: expected 0 or more");
  const auto ended = read_launched_message("ended 8");
  REQUIRE(ended);
  CHECK(ended->number == 8);
  for (const char* const none : {"", "hello", "hello 1", "open", "hello -1 5", "hello 1 0", "failing", "failed",
                                 "failed x", "ended 1x", "bye 0"}) {
    CAPTURE(none);
    CHECK(!read_launched_message(none));
  }
}

}  // namespace
}  // namespace kindred
