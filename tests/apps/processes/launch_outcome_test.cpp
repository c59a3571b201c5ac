// The line and the code with which a run of several processes ends, from what its launcher has seen.
#include <kindred/apps/console/advice.h>
#include <kindred/apps/processes/launcher/launch_outcome.h>

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

TEST_CASE("launch outcome: a line that rank 0 has written itself is not followed by another one") {
  const std::string of_rank_1 = "pretrain: error: out of memory on the host\n";
  for (const std::string& words : {of_rank_1, std::string(killed), of_rank_1 + killed}) {
    LaunchSeen seen = two_processes();
    seen.own_line = 5;
    seen.first_gone = 0;
    seen.status = ended_with(5);
    seen.words = words;
    for (const bool others_say_something : {false, true}) {
      if (others_say_something) seen.failure = LaunchedMessage{LaunchedMessage::Kind::failed, 9, 0, "lost"};
      CHECK(launch_outcome(seen).code == 5);
      CHECK(launch_outcome(seen).line.empty());
    }
  }
}

TEST_CASE("launch outcome: the line of a process whose end is a signal for the others is handed on") {
  LaunchSeen seen = two_processes();
  seen.first_gone = 1;
  seen.was_gone_before_interrupt = true;
  seen.failure = LaunchedMessage{LaunchedMessage::Kind::failed, 8, 0, "SIGTERM: a checkpoint"};
  seen.status = ended_with(5);
  seen.words = "pretrain: error: out of memory on the host\n";
  CHECK(launch_outcome(seen).code == 5);
  CHECK(launch_outcome(seen).line == "out of memory on the host");
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

TEST_CASE("launch outcome: a crash of mpirun is said in its place, and not the addresses that it wrote") {
  LaunchSeen seen = two_processes();
  seen.status = SIGSEGV;
  seen.first_gone = 1;  // its processes are killed with it
  seen.words = "[node7:29153] *** Process received signal ***\n[node7:29153] Signal: Segmentation fault (11)\n";
  CHECK(launch_outcome(seen).code == 9);
  CHECK(launch_outcome(seen).line.starts_with("mpirun was killed by SIGSEGV; "));
  seen.joined = {false, false};
  seen.first_gone.reset();
  CHECK(launch_outcome(seen).code == 5);
  CHECK(launch_outcome(seen).line == "no process could be started: mpirun was killed by SIGSEGV");
}

TEST_CASE("launch outcome: what the launcher itself has killed is not what was lost") {
  LaunchSeen seen = two_processes();
  seen.first_gone = 0;
  seen.has_killed = seen.has_killed_mpirun = true;
  seen.status = SIGKILL;
  CHECK(launch_outcome(seen).line.starts_with("rank 0 on node7 ended without a word; "));
  seen.words = killed;  // rank 1
  CHECK(launch_outcome(seen).line.starts_with("rank 0 on node7 ended without a word; "));
  seen.first_gone = 1;
  CHECK(launch_outcome(seen).line.starts_with("rank 1 on node7 was killed by SIGKILL"));
}

TEST_CASE("launch outcome: a process that was gone before another one was interrupted is what ended the run") {
  LaunchSeen seen = two_processes();
  seen.failure = LaunchedMessage{LaunchedMessage::Kind::failed, 8, 0, "SIGTERM: shards were being read"};
  seen.first_gone = 1;
  seen.words = killed;
  CHECK(launch_outcome(seen).code == 8);  // it was gone later
  seen.was_gone_before_interrupt = true;
  CHECK(launch_outcome(seen).code == 9);
  CHECK(launch_outcome(seen).line.starts_with("rank 1 on node7 was killed by SIGKILL"));
  seen.words.clear();
  CHECK(launch_outcome(seen).line.starts_with("rank 1 on node7 ended without a word; "));
  seen.failure.reset();
  seen.done = {8, std::nullopt};  // the same at an ordered end
  CHECK(launch_outcome(seen).code == 9);
}

TEST_CASE("launch outcome: once rank 0 is done, what happens to a process is a warning") {
  LaunchSeen seen = two_processes();
  seen.done = {0, std::nullopt};
  seen.stayed = who_stayed(seen, {0, 1}, {});
  CHECK(seen.stayed == "rank 1 on node7");
  seen.first_gone = 0;  // the launcher has killed them
  seen.status = SIGKILL;
  LaunchOutcome outcome = launch_outcome(seen);
  CHECK(outcome.code == 0);
  CHECK(outcome.line.empty());
  CHECK(outcome.warning == "rank 1 on node7 did not end by itself; all results were written before");

  seen.stayed.clear();
  seen.first_gone = 1;
  seen.words = killed;
  outcome = launch_outcome(seen);
  CHECK(outcome.code == 0);
  CHECK(outcome.warning.starts_with("rank 1 on node7 was killed by SIGKILL"));

  seen.failure =
      LaunchedMessage{LaunchedMessage::Kind::failed, 9, 0, "rank 1 on node7 does not answer for 60 s"};
  outcome = launch_outcome(seen);
  CHECK(outcome.code == 0);
  CHECK(outcome.warning == "rank 1 on node7 does not answer for 60 s; all results were written before");
  seen.failure->number = 6;  // an error stays one
  CHECK(launch_outcome(seen).code == 6);
  CHECK(launch_outcome(seen).warning.empty());
  seen.failure->number = 9;
  seen.done = {std::nullopt, 0};  // rank 0 may have had to write
  CHECK(launch_outcome(seen).code == 9);
}

TEST_CASE("launch outcome: who did not end though the work was done") {
  LaunchSeen seen = two_processes();
  seen.done = {0, 0};
  CHECK(who_stayed(seen, {0, 1}, {}) == "ranks 0 and 1 on node7");
  CHECK(who_stayed(seen, {0, 1}, {1}) == "rank 1 on node7");
  CHECK(who_stayed(seen, {0}, {}) == "rank 0 on node7");
  CHECK(who_stayed(seen, {}, {}) == "mpirun");
  seen.done = {0, std::nullopt};
  CHECK(who_stayed(seen, {0, 1}, {0}) == "rank 1 on node7");
  CHECK(who_stayed(seen, {0}, {}) == "rank 0 on node7");  // rank 1 is gone
}

TEST_CASE("launch outcome: processes that are all stopped are named") {
  LaunchSeen seen = two_processes();
  CHECK(line_of_stopped_processes(seen, 60) ==
        std::string("ranks 0 and 1 on node7 have been stopped for 60 s; ") + advice_to_go_on());
  seen.ended = {std::nullopt, 0};
  CHECK(line_of_stopped_processes(seen, 2.5).starts_with("rank 0 on node7 has been stopped for 2.5 s; "));
}

TEST_CASE("launch outcome: a system that gives no more processes is named") {
  for (const char* const words :
       {"[node7:7] [[1,0],0] ORTE_ERROR_LOG: The system limit on number of children a process can have was "
        "reached in file odls_base_default_fns.c at line 1243",
        "[node7:7] [[1,0],0] ORTE_ERROR_LOG: The system limit on number of pipes a process can open was "
        "reached",
        "Error: system limit exceeded on number of processes that can be started",
        "fork: Resource temporarily unavailable", "mmap: Cannot allocate memory",
        "[node7:7] PMIX ERROR: OUT-OF-RESOURCE in file server/pmix_server.c at line 7", "pthread_create failed",
        "[node7:7] ORTE_ERROR_LOG: Out of resource in file util/show_help.c at line 507"}) {
    CAPTURE(words);
    LaunchSeen seen = two_processes();
    seen.joined = seen.opened = {true, false};
    seen.first_gone = 0;
    seen.status = ended_with(1);
    seen.words = std::string("-----\nmpirun was unable to start all.\n") + words + "\n" + killed;
    const LaunchOutcome outcome = launch_outcome(seen);
    CHECK(outcome.code == 5);
    CHECK(outcome.cause == Cause::out_of_processes);
    CHECK(outcome.line == std::string("mpirun could not start 2 processes: ") + words);
    seen.opened = {true, true};  // what is said later is not why they could not start
    CHECK(launch_outcome(seen).code == 9);
  }
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
  CHECK(launch_outcome(seen).line.starts_with("mpirun was killed by SIGKILL; "));
  CHECK(launch_outcome(seen).code == 9);
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
  const auto wrote = read_launched_message("wrote 5");
  REQUIRE(wrote);
  CHECK(wrote->kind == LaunchedMessage::Kind::wrote);
  CHECK(wrote->number == 5);
  const auto done = read_launched_message("done 8");
  REQUIRE(done);
  CHECK(done->kind == LaunchedMessage::Kind::done);
  CHECK(done->number == 8);
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
