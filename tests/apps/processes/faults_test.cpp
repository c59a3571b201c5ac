// What happens to a run of several processes when one of them is killed or hangs, and on a signal.
#include "run_processes.h"

#include <kindred/apps/processes/places.h>
#include <kindred/engine/seconds_since.h>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <signal.h>  // defines: kill

#include <chrono>
#include <filesystem>
#include <fstream>
#include <utility>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// A run that would take minutes, saved after every step.
struct LongRun {
  explicit LongRun(const TemporaryFolder& folder)
      : set(draw_tiny_set(folder)),
        run(folder / "run"),
        base(set + " --out " + run + tiny + "--device cpu --knn-every 0 ") {}

  ProgramResult until_saved(const std::string& flags,
                            const std::function<void(const std::vector<RunProcess>&)>& act) const {
    return run_program_and(
        "pretrain", base + "--epochs 2000 --checkpoint-every 1 " + flags, run,
        [this] { return fs::exists(fs::path(run) / "checkpoint.safetensors"); }, act,
        "env --default-signal=HUP");  // under nohup it would be ignored
  }

  std::string set, run, base;
};

void signal_to(const std::vector<RunProcess>& processes, std::optional<int> rank, int signal) {
  for (const RunProcess& process : processes)
    if (process.rank == rank) ::kill(process.process, signal);
}

TEST_CASE("faults: a killed process ends the run with code 9 and a line, and a smaller number goes on") {
  if (!has_mpi()) return;
  for (const int rank : {0, 1}) {
    const TemporaryFolder folder;
    const LongRun long_run(folder);
    const ProgramResult result =
        long_run.until_saved("--processes 2", [&](const std::vector<RunProcess>& processes) {
          CHECK(processes.size() == 3);  // with the launcher
          signal_to(processes, rank, SIGKILL);
        });
    CAPTURE(result.output);
    CHECK(result.code == 9);
    CHECK(says(result, "pretrain: error: rank " + std::to_string(rank) + " on "));
    CHECK(says(result, "was killed by SIGKILL"));
    CHECK(says(result, "the same command with --resume goes on from the last checkpoint\n"));
    CHECK(is_one_line_error(result));
    CHECK(nothing_is_left("pretrain", long_run.run));
    const ProgramResult resumed =
        run_program("pretrain", long_run.base + "--epochs 1 --resume --allow-change --processes 1");
    CAPTURE(resumed.output);
    CHECK(resumed.code == 0);
    CHECK(says(resumed, "continuing from "));
  }
}

TEST_CASE("faults: a process that hangs ends the run after the time limit") {
  if (!has_mpi()) return;
  for (const int rank : {0, 1}) {
    const TemporaryFolder folder;
    const LongRun long_run(folder);
    std::chrono::steady_clock::time_point stopped;
    const ProgramResult result =
        long_run.until_saved("--processes 2 --timeout 3", [&](const std::vector<RunProcess>& processes) {
          signal_to(processes, rank, SIGSTOP);
          stopped = std::chrono::steady_clock::now();
        });
    CAPTURE(result.output);
    CHECK(result.code == 9);
    CHECK(says(result, "pretrain: error: rank " + std::to_string(rank) + " on "));
    CHECK(says(result, "does not answer for 3"));
    CHECK(is_one_line_error(result));
    CHECK(seconds_since(stopped) >= 3);
    CHECK(seconds_since(stopped) < 30);
    CHECK(nothing_is_left("pretrain", long_run.run));
  }
}

TEST_CASE("faults: processes that are all stopped end the run after the time limit") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const LongRun long_run(folder);
  const ProgramResult result =
      long_run.until_saved("--processes 2 --timeout 3", [&](const std::vector<RunProcess>& processes) {
        for (const int rank : {0, 1}) signal_to(processes, rank, SIGSTOP);
      });
  CAPTURE(result.output);
  CHECK(result.code == 9);
  CHECK(says(result, "pretrain: error: ranks 0 and 1 on " + host_name() + " have been stopped for 3 s; "));
  CHECK(is_one_line_error(result));
  CHECK(nothing_is_left("pretrain", long_run.run));
}

TEST_CASE("faults: an mpirun that is killed ends the run with a line that says so") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const LongRun long_run(folder);
  const ProgramResult result =
      long_run.until_saved("--processes 2", [&](const std::vector<RunProcess>& processes) {
        CHECK(processes.size() == 3);
        for (const RunProcess& mpirun : mpirun_of_run(long_run.run)) ::kill(mpirun.process, SIGKILL);
      });
  CAPTURE(result.output);
  CHECK(result.code == 9);
  CHECK(says(result, "pretrain: error: mpirun was killed by SIGKILL; the same command with --resume goes on"));
  CHECK(is_one_line_error(result));
  CHECK(nothing_is_left("pretrain", long_run.run));
}

TEST_CASE("faults: a signal to the launcher, or to any process, stops all after the same step") {
  if (!has_mpi()) return;
  for (const std::optional<int> rank : {std::optional<int>(), std::optional<int>(1)}) {
    const TemporaryFolder folder;
    const LongRun long_run(folder);
    const ProgramResult result = long_run.until_saved(
        "--processes 2",
        [&](const std::vector<RunProcess>& processes) { signal_to(processes, rank, SIGTERM); });
    CAPTURE(result.output);
    CHECK(result.code == 8);
    CHECK(says(result, "SIGTERM: a checkpoint of step "));
    CHECK(result.output.find("error: ") == std::string::npos);
    CHECK(nothing_is_left("pretrain", long_run.run));
  }
}

TEST_CASE("faults: a signal to all processes at once, mpirun too, stops them after a step that is saved") {
  if (!has_mpi()) return;
  const std::pair<int, const char*> signals[] = {{SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"}, {SIGHUP, "SIGHUP"}};
  for (const auto& [signal, name] : signals) {
    const int number = signal;
    const TemporaryFolder folder;
    const LongRun long_run(folder);
    const ProgramResult result =
        long_run.until_saved("--processes 2", [&](const std::vector<RunProcess>& processes) {
          CHECK(processes.size() == 3);  // with the launcher
          std::vector<RunProcess> all = processes;
          for (const RunProcess& mpirun : mpirun_of_run(long_run.run)) all.push_back(mpirun);
          CHECK(all.size() == 4);
          for (const RunProcess& process : all) ::kill(process.process, number);
        });
    CAPTURE(result.output);
    CHECK(result.code == 8);
    CHECK(says(result, name + std::string(": a checkpoint of step ")));
    CHECK(result.output.find("error: ") == std::string::npos);
    CHECK(nothing_is_left("pretrain", long_run.run));
    const ProgramResult resumed =
        run_program("pretrain", long_run.base + "--epochs 1 --resume --allow-change --processes 1");
    CAPTURE(resumed.output);
    CHECK(resumed.code == 0);
    CHECK(says(resumed, "continuing from "));
  }
}

TEST_CASE("faults: linear_probe of two processes ends on a signal, and the same command begins anew") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), out = folder / "probe";
  const std::string flags =
      set + " --untrained resnet20 --image-size 32 -b 8 -j 1 --device cpu --processes 2 --out " + out +
      " --epochs ";
  const ProgramResult result = run_program_and(
      "linear_probe", flags + "10000000", out,
      [&] { return processes_of_run("linear_probe", out).size() == 3; },
      [](const std::vector<RunProcess>& processes) { signal_to(processes, std::nullopt, SIGTERM); });
  CAPTURE(result.output);
  CHECK(result.code == 8);
  CHECK(says(result, "SIGTERM: "));
  CHECK(says(result, "the same command begins anew"));
  CHECK(result.output.find("error: ") == std::string::npos);
  CHECK(!fs::exists(fs::path(out) / "result.json"));
  CHECK(nothing_is_left("linear_probe", out));
  const ProgramResult again = run_program("linear_probe", flags + "2");
  CAPTURE(again.output);
  CHECK(again.code == 0);
  CHECK(fs::exists(fs::path(out) / "result.json"));
}

TEST_CASE("faults: without its launcher a run ends") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const LongRun long_run(folder);
  bool was_killed = false;
  long_run.until_saved("--processes 2", [&](const std::vector<RunProcess>& processes) {
    CHECK(processes.size() == 3);  // with the launcher
    signal_to(processes, std::nullopt, SIGKILL);
    was_killed = true;
  });
  CHECK(was_killed);
  CHECK(nothing_is_left("pretrain", long_run.run));
}

}  // namespace
}  // namespace kindred
